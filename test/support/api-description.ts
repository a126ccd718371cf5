/** An OpenAPI description, to be compared with what a server does. */
import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { FastifyInstance } from 'fastify';
import { parse } from 'yaml';

export interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly {
    readonly $ref?: string;
    readonly name?: string;
    readonly in?: string;
  }[];
  readonly requestBody?: { readonly content?: Content };
  readonly responses: Readonly<
    Record<string, { readonly $ref?: string; readonly content?: Content }>
  >;
}

export type Content = Readonly<
  Record<string, { readonly schema?: object; readonly example?: unknown }>
>;

export interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, Record<string, unknown>>>>>;
}

const methods = ['get', 'put', 'post', 'delete', 'patch'];

export class ApiDescription {
  readonly document: Document;
  readonly #ajv = new Ajv2020({ strict: true, allErrors: true, allowUnionTypes: true });

  /** `name`: of the file in api/, without `.openapi.yaml`. */
  constructor(name: string) {
    const path = new URL(`../../api/${name}.openapi.yaml`, import.meta.url);
    this.document = parse(readFileSync(path, 'utf8'));
    const { components, paths } = this.document;
    for (const format of ['uuid', 'date-time']) this.#ajv.addFormat(format, true);
    for (const keyword of ['example', 'components', 'paths']) this.#ajv.addKeyword(keyword);
    this.#ajv.addSchema({ $id: 'api', components, paths } as object, 'api');
  }

  /** What about `value` is not as the schema at that JSON pointer says; empty if all is. */
  problems(pointer: string, value: unknown): unknown {
    const validate = this.#ajv.getSchema(`api#${pointer}`);
    if (validate === undefined) throw new Error(`no schema at ${pointer}`);
    return validate(value) ? [] : validate.errors;
  }

  /** Path, method in lower case, and what is said of both. */
  operations(): (readonly [path: string, method: string, Operation])[] {
    return Object.entries(this.document.paths).flatMap(([path, item]) =>
      methods.flatMap((method) => {
        const operation = item[method];
        return operation ? [[path, method, operation] as const] : [];
      }),
    );
  }

  /** What about an answer's body is not as described for its operation and status. */
  answerProblems(path: string, method: string, status: number, type: string, body: unknown) {
    const described = this.document.paths[path]?.[method]?.responses[status];
    if (described === undefined) return `${method} ${path} is not said to answer ${status}`;
    const reference = described.$ref?.slice(1);
    const pointer = reference ?? `/paths/${escaped(path)}/${method}/responses/${status}`;
    return this.problems(`${pointer}/content/${escaped(type)}/schema`, body);
  }
}

function escaped(text: string): string {
  return encodeURIComponent(text.replaceAll('~', '~0').replaceAll('/', '~1'));
}

/** `METHOD /path/{parameter}` of every route that a server has, sorted. */
export async function routesOf(server: FastifyInstance): Promise<string[]> {
  await server.ready();
  const routes: string[] = [];
  const parents: string[] = [];
  for (const line of server.printRoutes({ commonPrefix: false }).split('\n')) {
    const match = /^(.*?)(\/\S*) \(([A-Z, ]+)\)$/.exec(line);
    if (match === null) continue;
    const [, indent, segment, verbs] = match as unknown as [string, string, string, string];
    const depth = indent.length / 4 - 1;
    parents.splice(depth, parents.length, segment);
    const route = parents.join('').replace(/:([a-zA-Z0-9]+)/g, '{$1}');
    for (const verb of verbs.split(', ')) routes.push(`${verb} ${route}`);
  }
  await server.close();
  return routes.sort();
}
