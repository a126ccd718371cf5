/** The names that programs agree on; they stand in core, since the command line and the governance know them too. */
export * from '@chaperone/core/injection/names.ts';
