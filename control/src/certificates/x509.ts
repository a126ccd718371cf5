/**
 * The one way to @peculiar/x509. Its container for plug-ins asks for a reflection polyfill when it is loaded,
 * for decorators that x509 does not use: answers of "nothing known" are all it takes.
 */
const reflection = Reflect as unknown as Record<string, (() => undefined) | undefined>;
for (const name of ['getMetadata', 'getOwnMetadata', 'defineMetadata']) {
  reflection[name] ??= () => undefined;
}

/** Imported only now: static imports of a CommonJS library come first in some loaders. */
export const x509 = await import('@peculiar/x509');
