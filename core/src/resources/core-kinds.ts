import type { StructuralSchema } from './schema.ts';

const values = (item: Partial<StructuralSchema>): StructuralSchema => ({
  type: 'object',
  maxProperties: 256,
  additionalProperties: { type: 'string', maxLength: 1_048_576, ...item },
});

/** The core v1 kinds that a directory may hold beside ours; everything but metadata. */
export const coreSchemas: Readonly<Record<'Secret' | 'ConfigMap' | 'Namespace', StructuralSchema>> =
  {
    Secret: {
      type: 'object',
      properties: {
        type: { type: 'string', maxLength: 253 },
        immutable: { type: 'boolean' },
        data: values({ format: 'byte' }),
        stringData: values({}),
      },
    },
    ConfigMap: {
      type: 'object',
      properties: {
        immutable: { type: 'boolean' },
        data: values({}),
        binaryData: values({ format: 'byte' }),
      },
    },
    Namespace: { type: 'object', properties: { spec: { type: 'object', properties: {} } } },
  };

export type CoreKind = keyof typeof coreSchemas;
