/** The repository of an image reference: without tag and digest (`registry:5000/a/b:1@sha256:…` → `registry:5000/a/b`). */
export function imageRepository(reference: string): string {
  const [named = ''] = reference.split('@', 1);
  const slash = named.lastIndexOf('/');
  const colon = named.indexOf(':', slash + 1);
  return colon < 0 ? named : named.slice(0, colon);
}
