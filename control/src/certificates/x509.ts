import './reflect-metadata.ts';

/** Loaded after what it needs of Reflect: static imports of a CommonJS library come first in some loaders. */
export const x509 = await import('@peculiar/x509');
