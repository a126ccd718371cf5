/**
 * The three functions of the Reflect Metadata proposal that the X.509 library's dependency injection calls
 * while it loads; to be imported before it. Each is left alone where something else has provided it.
 */
type Metadata = Map<unknown, unknown>;
interface ReflectMetadata {
  defineMetadata?: (key: unknown, value: unknown, target: object) => void;
  getOwnMetadata?: (key: unknown, target: object) => unknown;
  getMetadata?: (key: unknown, target: object) => unknown;
}

const store = new WeakMap<object, Metadata>();
const reflect = Reflect as ReflectMetadata;

if (reflect.getMetadata === undefined) {
  reflect.defineMetadata = (key, value, target) => {
    const known = store.get(target) ?? new Map();
    store.set(target, known.set(key, value));
  };
  reflect.getOwnMetadata = (key, target) => store.get(target)?.get(key);
  reflect.getMetadata = (key, target) => {
    for (let at: object | null = target; at !== null; at = Reflect.getPrototypeOf(at)) {
      const known = store.get(at);
      if (known?.has(key)) return known.get(key);
    }
    return undefined;
  };
}
