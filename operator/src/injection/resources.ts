/** Requests and limits of a container. */
import { isQuantity, keepWording } from './quantity.ts';

export interface ContainerResources {
  readonly requests?: Readonly<Record<string, string>>;
  readonly limits?: Readonly<Record<string, string>>;
}

/** Those that a sidecar can have anything of. */
export const resourceNames = ['cpu', 'memory', 'ephemeral-storage'] as const;

const maxChars = 1024;

export type ParsedResources =
  | { readonly ok: true; readonly value: ContainerResources }
  /** `expected`: to stand behind "must be". */
  | { readonly ok: false; readonly expected: string };

const form = `{"requests":{…},"limits":{…}} as JSON, with quantities of ${resourceNames.join(', ')}`;

/** Whether limits are at least the requests is left to the API server, which says so itself. */
export function parseResources(text: string): ParsedResources {
  const no: ParsedResources = { ok: false, expected: form };
  if (text.length > maxChars) return no;
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    return no;
  }
  if (!isObject(given)) return no;
  const value: Record<string, Record<string, string>> = {};
  for (const [part, quantities] of Object.entries(given)) {
    if ((part !== 'requests' && part !== 'limits') || !isObject(quantities)) return no;
    const read: Record<string, string> = {};
    for (const [name, amount] of Object.entries(quantities)) {
      const known = resourceNames.find((one) => one === name);
      const written = typeof amount === 'number' ? String(amount) : amount;
      if (known === undefined || typeof written !== 'string' || !isQuantity(written)) return no;
      read[known] = written;
    }
    value[part] = read;
  }
  return { ok: true, value };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * What a container of ours gets: what is configured, in the wording that it has already, and what others
 * added for want of ours (a LimitRange's defaults, requests that the API server takes from the limits).
 */
export function mergeResources(
  wanted: ContainerResources,
  present: ContainerResources | undefined,
): ContainerResources {
  const merged: Record<string, Record<string, string>> = {};
  for (const part of ['requests', 'limits'] as const) {
    const quantities: Record<string, string> = {};
    for (const name of resourceNames) {
      const configured = wanted[part]?.[name];
      const had = present?.[part]?.[name];
      const value = configured === undefined ? had : keepWording(configured, had);
      if (value !== undefined) quantities[name] = value;
    }
    if (Object.keys(quantities).length > 0) merged[part] = quantities;
  }
  return merged;
}
