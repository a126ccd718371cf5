// Generated from crds/ by scripts/generate-resource-types.ts. Do not edit.

import type { StructuralSchema } from './schema.ts';
import type { ResourceKind } from './types.ts';

/** The structural schemas of spec and status. */
export const resourceSchemas: Readonly<
  Record<ResourceKind, { readonly spec: StructuralSchema; readonly status: StructuralSchema }>
> = {
  AccessPolicy: {
    spec: {
      type: 'object',
      'x-kubernetes-validations': [
        {
          rule: 'has(self.targetRefs) != has(self.selector)',
          message: 'set exactly one of targetRefs and selector',
        },
      ],
      properties: {
        mode: { type: 'string', enum: ['Enforce', 'DryRun'], default: 'Enforce' },
        subjects: {
          type: 'object',
          minProperties: 1,
          'x-kubernetes-validations': [
            {
              rule: 'has(self.namespaces) || !(has(self.groups) || has(self.selector))',
              message:
                'groups and selector match only identities of the namespaces listed, so namespaces is needed',
            },
          ],
          properties: {
            identities: {
              type: 'array',
              minItems: 1,
              maxItems: 256,
              'x-kubernetes-list-type': 'map',
              'x-kubernetes-list-map-keys': ['namespace', 'name'],
              items: {
                type: 'object',
                required: ['name', 'namespace'],
                properties: {
                  name: {
                    type: 'string',
                    minLength: 1,
                    maxLength: 253,
                    pattern: '^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$',
                  },
                  namespace: {
                    type: 'string',
                    minLength: 1,
                    maxLength: 63,
                    pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
                  },
                },
              },
            },
            namespaces: {
              type: 'array',
              minItems: 1,
              maxItems: 64,
              'x-kubernetes-list-type': 'set',
              items: {
                type: 'string',
                minLength: 1,
                maxLength: 63,
                pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
              },
            },
            groups: {
              type: 'array',
              minItems: 1,
              maxItems: 64,
              'x-kubernetes-list-type': 'set',
              items: { type: 'string', minLength: 1, maxLength: 253 },
            },
            selector: {
              type: 'object',
              minProperties: 1,
              properties: {
                matchLabels: {
                  type: 'object',
                  minProperties: 1,
                  maxProperties: 16,
                  additionalProperties: { type: 'string', maxLength: 63 },
                },
                matchExpressions: {
                  type: 'array',
                  minItems: 1,
                  maxItems: 16,
                  'x-kubernetes-list-type': 'atomic',
                  items: {
                    type: 'object',
                    required: ['key', 'operator'],
                    'x-kubernetes-validations': [
                      {
                        rule: "(self.operator == 'In' || self.operator == 'NotIn') == has(self.values)",
                        message: 'values go with In and NotIn, and only with them',
                      },
                    ],
                    properties: {
                      key: { type: 'string', minLength: 1, maxLength: 317 },
                      operator: { type: 'string', enum: ['In', 'NotIn', 'Exists', 'DoesNotExist'] },
                      values: {
                        type: 'array',
                        minItems: 1,
                        maxItems: 64,
                        'x-kubernetes-list-type': 'set',
                        items: { type: 'string', maxLength: 63 },
                      },
                    },
                  },
                },
              },
            },
          },
        },
        targetRefs: {
          type: 'array',
          minItems: 1,
          maxItems: 64,
          'x-kubernetes-list-type': 'atomic',
          items: {
            type: 'object',
            required: ['name'],
            properties: {
              name: {
                type: 'string',
                minLength: 1,
                maxLength: 253,
                pattern: '^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$',
              },
              namespace: {
                type: 'string',
                minLength: 1,
                maxLength: 63,
                pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
              },
            },
          },
        },
        selector: {
          type: 'object',
          minProperties: 1,
          properties: {
            matchLabels: {
              type: 'object',
              minProperties: 1,
              maxProperties: 16,
              additionalProperties: { type: 'string', maxLength: 63 },
            },
            matchExpressions: {
              type: 'array',
              minItems: 1,
              maxItems: 16,
              'x-kubernetes-list-type': 'atomic',
              items: {
                type: 'object',
                required: ['key', 'operator'],
                'x-kubernetes-validations': [
                  {
                    rule: "(self.operator == 'In' || self.operator == 'NotIn') == has(self.values)",
                    message: 'values go with In and NotIn, and only with them',
                  },
                ],
                properties: {
                  key: { type: 'string', minLength: 1, maxLength: 317 },
                  operator: { type: 'string', enum: ['In', 'NotIn', 'Exists', 'DoesNotExist'] },
                  values: {
                    type: 'array',
                    minItems: 1,
                    maxItems: 64,
                    'x-kubernetes-list-type': 'set',
                    items: { type: 'string', maxLength: 63 },
                  },
                },
              },
            },
          },
        },
        rules: {
          type: 'array',
          maxItems: 64,
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
          items: {
            type: 'object',
            required: ['name', 'action', 'resources'],
            'x-kubernetes-validations': [
              {
                rule: 'has(self.classes) || has(self.verbs)',
                message: 'set classes, verbs or both',
              },
              {
                rule: "has(self.approval) == (self.action == 'RequireApproval')",
                message: 'approval goes with action RequireApproval, and only with it',
              },
              {
                rule: "!(has(self.limits) && self.action == 'Deny')",
                message: 'limits have no meaning with action Deny',
              },
            ],
            properties: {
              name: {
                type: 'string',
                minLength: 1,
                maxLength: 63,
                pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
              },
              action: { type: 'string', enum: ['Allow', 'Deny', 'RequireApproval'] },
              classes: {
                type: 'array',
                minItems: 1,
                maxItems: 16,
                'x-kubernetes-list-type': 'set',
                items: {
                  type: 'string',
                  enum: [
                    'Read',
                    'Write',
                    'Schema',
                    'Privilege',
                    'Session',
                    'Procedure',
                    'Export',
                    'Admin',
                    'Catalog',
                  ],
                },
              },
              verbs: {
                type: 'array',
                minItems: 1,
                maxItems: 64,
                'x-kubernetes-list-type': 'set',
                items: { type: 'string', minLength: 1, maxLength: 63, pattern: '^[A-Z][A-Za-z]*$' },
              },
              resources: {
                type: 'array',
                minItems: 1,
                maxItems: 256,
                'x-kubernetes-list-type': 'set',
                items: { type: 'string', minLength: 1, maxLength: 512 },
              },
              columns: {
                type: 'object',
                'x-kubernetes-validations': [
                  {
                    rule: 'has(self.only) != has(self.except)',
                    message: 'set exactly one of only and except',
                  },
                ],
                properties: {
                  only: {
                    type: 'array',
                    minItems: 1,
                    maxItems: 256,
                    'x-kubernetes-list-type': 'set',
                    items: { type: 'string', minLength: 1, maxLength: 256 },
                  },
                  except: {
                    type: 'array',
                    minItems: 1,
                    maxItems: 256,
                    'x-kubernetes-list-type': 'set',
                    items: { type: 'string', minLength: 1, maxLength: 256 },
                  },
                },
              },
              when: { type: 'string', minLength: 1, maxLength: 2048 },
              limits: {
                type: 'object',
                minProperties: 1,
                'x-kubernetes-validations': [
                  {
                    rule: 'has(self.rowsPerStatement) || has(self.bytesPerStatement) || has(self.rowsPerHour) || has(self.statementsPerSecond) || has(self.concurrentSessions)',
                    message: 'set at least one limit',
                  },
                ],
                properties: {
                  rowsPerStatement: {
                    type: 'integer',
                    format: 'int64',
                    minimum: 1,
                    maximum: 9007199254740991,
                  },
                  bytesPerStatement: {
                    type: 'integer',
                    format: 'int64',
                    minimum: 1,
                    maximum: 9007199254740991,
                  },
                  rowsPerHour: {
                    type: 'integer',
                    format: 'int64',
                    minimum: 1,
                    maximum: 9007199254740991,
                  },
                  statementsPerSecond: {
                    type: 'integer',
                    format: 'int32',
                    minimum: 1,
                    maximum: 1000000,
                  },
                  concurrentSessions: {
                    type: 'integer',
                    format: 'int32',
                    minimum: 1,
                    maximum: 1000000,
                  },
                  onExceed: { type: 'string', enum: ['Deny', 'RequireApproval'] },
                  scope: { type: 'string', enum: ['Pod', 'Identity'] },
                },
              },
              approval: {
                type: 'object',
                required: ['approvers'],
                properties: {
                  approvers: {
                    type: 'object',
                    required: ['groups'],
                    properties: {
                      groups: {
                        type: 'array',
                        minItems: 1,
                        maxItems: 16,
                        'x-kubernetes-list-type': 'set',
                        items: { type: 'string', minLength: 1, maxLength: 253 },
                      },
                    },
                  },
                  minimum: { type: 'integer', format: 'int32', minimum: 1, maximum: 10 },
                  wait: {
                    type: 'object',
                    required: ['mode'],
                    'x-kubernetes-validations': [
                      {
                        rule: "has(self.holdTimeout) == (self.mode == 'Hold')",
                        message: 'holdTimeout goes with mode Hold, and only with it',
                      },
                    ],
                    properties: {
                      mode: { type: 'string', enum: ['Fail', 'Hold'] },
                      holdTimeout: {
                        type: 'string',
                        minLength: 2,
                        maxLength: 32,
                        pattern: '^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$',
                      },
                    },
                  },
                  expiresAfter: {
                    type: 'string',
                    minLength: 2,
                    maxLength: 32,
                    pattern: '^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$',
                  },
                  requireTicket: { type: 'boolean' },
                },
              },
            },
          },
        },
        session: {
          type: 'object',
          minProperties: 1,
          properties: {
            maxDuration: {
              type: 'string',
              minLength: 2,
              maxLength: 32,
              pattern: '^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$',
            },
            idleTimeout: {
              type: 'string',
              minLength: 2,
              maxLength: 32,
              pattern: '^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$',
            },
            recording: { type: 'string', enum: ['Metadata', 'Statements', 'Full'] },
            durability: { type: 'string', enum: ['Process', 'Disk', 'Collector'] },
          },
        },
      },
    },
    status: {
      type: 'object',
      properties: {
        observedGeneration: { type: 'integer', format: 'int64', minimum: 0 },
        conditions: {
          type: 'array',
          maxItems: 16,
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['type'],
          items: {
            type: 'object',
            required: ['type', 'status', 'lastTransitionTime', 'reason', 'message'],
            properties: {
              type: { type: 'string', maxLength: 316, pattern: '^[A-Z][A-Za-z0-9]*$' },
              status: { type: 'string', enum: ['True', 'False', 'Unknown'] },
              observedGeneration: { type: 'integer', format: 'int64', minimum: 0 },
              lastTransitionTime: { type: 'string', format: 'date-time', maxLength: 64 },
              reason: {
                type: 'string',
                minLength: 1,
                maxLength: 1024,
                pattern: '^[A-Z][A-Za-z0-9]*$',
              },
              message: { type: 'string', maxLength: 32768 },
            },
          },
        },
        targets: { type: 'integer', format: 'int32', minimum: 0 },
        identities: { type: 'integer', format: 'int32', minimum: 0 },
      },
    },
  },
  MachineIdentity: {
    spec: {
      type: 'object',
      required: ['owner', 'purpose', 'subjects'],
      properties: {
        owner: {
          type: 'object',
          required: ['team'],
          properties: {
            team: { type: 'string', minLength: 1, maxLength: 253 },
            contact: { type: 'string', minLength: 1, maxLength: 253 },
          },
        },
        purpose: { type: 'string', minLength: 1, maxLength: 1024 },
        subjects: {
          type: 'array',
          minItems: 1,
          maxItems: 16,
          'x-kubernetes-list-type': 'atomic',
          items: {
            type: 'object',
            'x-kubernetes-validations': [
              {
                rule: 'has(self.serviceAccount) != has(self.oidc)',
                message: 'set exactly one of serviceAccount and oidc',
              },
            ],
            properties: {
              serviceAccount: {
                type: 'object',
                required: ['name'],
                properties: {
                  name: {
                    type: 'string',
                    minLength: 1,
                    maxLength: 253,
                    pattern: '^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$',
                  },
                },
              },
              oidc: {
                type: 'object',
                required: ['issuer', 'audience', 'match'],
                properties: {
                  issuer: {
                    type: 'string',
                    minLength: 9,
                    maxLength: 1024,
                    pattern: '^https://[^\\s?#]+$',
                  },
                  audience: { type: 'string', minLength: 1, maxLength: 253 },
                  match: {
                    type: 'object',
                    minProperties: 1,
                    maxProperties: 16,
                    additionalProperties: { type: 'string', minLength: 1, maxLength: 1024 },
                  },
                  groupsClaim: { type: 'string', minLength: 1, maxLength: 253 },
                },
              },
            },
          },
        },
        groups: {
          type: 'array',
          maxItems: 64,
          'x-kubernetes-list-type': 'set',
          items: { type: 'string', minLength: 1, maxLength: 253 },
        },
        expiresAt: { type: 'string', format: 'date-time', maxLength: 64 },
        review: {
          type: 'object',
          required: ['every'],
          properties: {
            every: {
              type: 'string',
              minLength: 2,
              maxLength: 32,
              pattern: '^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$',
            },
          },
        },
        suspended: { type: 'boolean', default: false },
      },
    },
    status: {
      type: 'object',
      properties: {
        observedGeneration: { type: 'integer', format: 'int64', minimum: 0 },
        conditions: {
          type: 'array',
          maxItems: 16,
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['type'],
          items: {
            type: 'object',
            required: ['type', 'status', 'lastTransitionTime', 'reason', 'message'],
            properties: {
              type: { type: 'string', maxLength: 316, pattern: '^[A-Z][A-Za-z0-9]*$' },
              status: { type: 'string', enum: ['True', 'False', 'Unknown'] },
              observedGeneration: { type: 'integer', format: 'int64', minimum: 0 },
              lastTransitionTime: { type: 'string', format: 'date-time', maxLength: 64 },
              reason: {
                type: 'string',
                minLength: 1,
                maxLength: 1024,
                pattern: '^[A-Z][A-Za-z0-9]*$',
              },
              message: { type: 'string', maxLength: 32768 },
            },
          },
        },
        boundPods: { type: 'integer', format: 'int32', minimum: 0 },
        activeSessions: { type: 'integer', format: 'int32', minimum: 0 },
        lastSeenTime: { type: 'string', format: 'date-time', maxLength: 64 },
      },
    },
  },
  MaskingRule: {
    spec: {
      type: 'object',
      required: ['transform'],
      'x-kubernetes-validations': [
        {
          rule: 'has(self.targetRefs) != has(self.selector)',
          message: 'set exactly one of targetRefs and selector',
        },
        {
          rule: 'has(self.columns) || has(self.detectors)',
          message: 'set columns, detectors or both',
        },
        {
          rule: 'has(self.detectors) == has(self.resources)',
          message:
            'detectors and resources go together, and resources says where the detectors look',
        },
        {
          rule: "!has(self.keyRef) || self.transform.type == 'Hash' || self.transform.type == 'Pseudonym'",
          message: 'keyRef goes with transform type Hash or Pseudonym only',
        },
      ],
      properties: {
        targetRefs: {
          type: 'array',
          minItems: 1,
          maxItems: 64,
          'x-kubernetes-list-type': 'atomic',
          items: {
            type: 'object',
            required: ['name'],
            properties: {
              name: {
                type: 'string',
                minLength: 1,
                maxLength: 253,
                pattern: '^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$',
              },
              namespace: {
                type: 'string',
                minLength: 1,
                maxLength: 63,
                pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
              },
            },
          },
        },
        selector: {
          type: 'object',
          minProperties: 1,
          properties: {
            matchLabels: {
              type: 'object',
              minProperties: 1,
              maxProperties: 16,
              additionalProperties: { type: 'string', maxLength: 63 },
            },
            matchExpressions: {
              type: 'array',
              minItems: 1,
              maxItems: 16,
              'x-kubernetes-list-type': 'atomic',
              items: {
                type: 'object',
                required: ['key', 'operator'],
                'x-kubernetes-validations': [
                  {
                    rule: "(self.operator == 'In' || self.operator == 'NotIn') == has(self.values)",
                    message: 'values go with In and NotIn, and only with them',
                  },
                ],
                properties: {
                  key: { type: 'string', minLength: 1, maxLength: 317 },
                  operator: { type: 'string', enum: ['In', 'NotIn', 'Exists', 'DoesNotExist'] },
                  values: {
                    type: 'array',
                    minItems: 1,
                    maxItems: 64,
                    'x-kubernetes-list-type': 'set',
                    items: { type: 'string', maxLength: 63 },
                  },
                },
              },
            },
          },
        },
        columns: {
          type: 'array',
          minItems: 1,
          maxItems: 256,
          'x-kubernetes-list-type': 'set',
          items: { type: 'string', minLength: 1, maxLength: 512 },
        },
        detectors: {
          type: 'array',
          minItems: 1,
          maxItems: 16,
          'x-kubernetes-list-type': 'set',
          items: { type: 'string', enum: ['PaymentCard', 'Email', 'IBAN'] },
        },
        resources: {
          type: 'array',
          minItems: 1,
          maxItems: 256,
          'x-kubernetes-list-type': 'set',
          items: { type: 'string', minLength: 1, maxLength: 512 },
        },
        transform: {
          type: 'object',
          required: ['type'],
          'x-kubernetes-validations': [
            {
              rule: "self.type == 'Partial' || !(has(self.keepFirst) || has(self.keepLast))",
              message: 'keepFirst and keepLast go with type Partial only',
            },
            {
              rule: "self.type != 'Partial' || has(self.keepFirst) || has(self.keepLast)",
              message: 'type Partial needs keepFirst, keepLast or both',
            },
            {
              rule: "has(self.fixed) == (self.type == 'Fixed')",
              message: 'fixed goes with type Fixed, and only with it',
            },
            {
              rule: "self.type == 'Generalize' || !(has(self.dateUnit) || has(self.step))",
              message: 'dateUnit and step go with type Generalize only',
            },
            {
              rule: "self.type != 'Generalize' || has(self.dateUnit) || has(self.step)",
              message: 'type Generalize needs dateUnit, step or both',
            },
          ],
          properties: {
            type: {
              type: 'string',
              enum: ['Redact', 'Partial', 'Hash', 'Pseudonym', 'Generalize', 'Null', 'Fixed'],
            },
            keepFirst: { type: 'integer', format: 'int32', minimum: 0, maximum: 64 },
            keepLast: { type: 'integer', format: 'int32', minimum: 0, maximum: 64 },
            fixed: { type: 'string', maxLength: 1024 },
            dateUnit: { type: 'string', enum: ['Year', 'Month'] },
            step: { type: 'number', minimum: 0, exclusiveMinimum: true, maximum: 1000000000000 },
          },
        },
        keyRef: {
          type: 'object',
          required: ['name'],
          properties: {
            name: {
              type: 'string',
              minLength: 1,
              maxLength: 253,
              pattern: '^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$',
            },
            key: {
              type: 'string',
              minLength: 1,
              maxLength: 253,
              pattern: '^[-._a-zA-Z0-9]+$',
              default: 'key',
            },
          },
        },
        usage: { type: 'string', enum: ['None', 'Lookup', 'Any'], default: 'Lookup' },
        strictness: { type: 'string', enum: ['Strict', 'BestEffort'], default: 'Strict' },
        exemptions: {
          type: 'array',
          maxItems: 64,
          'x-kubernetes-list-type': 'atomic',
          items: {
            type: 'object',
            required: ['identities', 'reason', 'expiresAt'],
            properties: {
              identities: {
                type: 'array',
                minItems: 1,
                maxItems: 64,
                'x-kubernetes-list-type': 'map',
                'x-kubernetes-list-map-keys': ['namespace', 'name'],
                items: {
                  type: 'object',
                  required: ['name', 'namespace'],
                  properties: {
                    name: {
                      type: 'string',
                      minLength: 1,
                      maxLength: 253,
                      pattern: '^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$',
                    },
                    namespace: {
                      type: 'string',
                      minLength: 1,
                      maxLength: 63,
                      pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
                    },
                  },
                },
              },
              reason: { type: 'string', minLength: 1, maxLength: 1024 },
              ticket: { type: 'string', minLength: 1, maxLength: 253 },
              expiresAt: { type: 'string', format: 'date-time', maxLength: 64 },
            },
          },
        },
      },
    },
    status: {
      type: 'object',
      properties: {
        observedGeneration: { type: 'integer', format: 'int64', minimum: 0 },
        conditions: {
          type: 'array',
          maxItems: 16,
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['type'],
          items: {
            type: 'object',
            required: ['type', 'status', 'lastTransitionTime', 'reason', 'message'],
            properties: {
              type: { type: 'string', maxLength: 316, pattern: '^[A-Z][A-Za-z0-9]*$' },
              status: { type: 'string', enum: ['True', 'False', 'Unknown'] },
              observedGeneration: { type: 'integer', format: 'int64', minimum: 0 },
              lastTransitionTime: { type: 'string', format: 'date-time', maxLength: 64 },
              reason: {
                type: 'string',
                minLength: 1,
                maxLength: 1024,
                pattern: '^[A-Z][A-Za-z0-9]*$',
              },
              message: { type: 'string', maxLength: 32768 },
            },
          },
        },
        targets: { type: 'integer', format: 'int32', minimum: 0 },
      },
    },
  },
  Target: {
    spec: {
      type: 'object',
      required: ['protocol', 'host', 'credentials'],
      'x-kubernetes-validations': [
        {
          rule: "!self.host.startsWith('/') || self.tls.mode == 'Disable'",
          message: 'a UNIX socket, which host names here, speaks no TLS; set tls.mode to Disable',
        },
        {
          rule: "!self.host.startsWith('/') || size(self.host) <= 92",
          message: "host is too long for a UNIX socket's directory; 92 characters at the most",
        },
      ],
      properties: {
        protocol: { type: 'string', enum: ['PostgreSQL'] },
        host: {
          type: 'string',
          minLength: 1,
          maxLength: 253,
          pattern:
            '^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*|[0-9a-f:]+|(/[-_.a-zA-Z0-9]+)+)$',
        },
        port: { type: 'integer', format: 'int32', minimum: 1, maximum: 65535, default: 5432 },
        aliases: {
          type: 'array',
          maxItems: 16,
          'x-kubernetes-list-type': 'set',
          items: {
            type: 'string',
            minLength: 1,
            maxLength: 253,
            pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$',
          },
        },
        tls: {
          type: 'object',
          default: { mode: 'VerifyFull' },
          'x-kubernetes-validations': [
            {
              rule: "!(has(self.caRef) && self.mode == 'Disable')",
              message: 'caRef has no meaning with mode Disable',
            },
          ],
          properties: {
            mode: {
              type: 'string',
              enum: ['VerifyFull', 'VerifyCA', 'Disable'],
              default: 'VerifyFull',
            },
            caRef: {
              type: 'object',
              required: ['name'],
              properties: {
                kind: { type: 'string', enum: ['ConfigMap', 'Secret'], default: 'ConfigMap' },
                name: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 253,
                  pattern: '^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$',
                },
                key: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 253,
                  pattern: '^[-._a-zA-Z0-9]+$',
                  default: 'ca.crt',
                },
              },
            },
          },
        },
        credentials: {
          type: 'object',
          required: ['secretRef'],
          properties: {
            secretRef: {
              type: 'object',
              required: ['name'],
              properties: {
                name: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 253,
                  pattern: '^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$',
                },
                usernameKey: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 253,
                  pattern: '^[-._a-zA-Z0-9]+$',
                  default: 'username',
                },
                passwordKey: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 253,
                  pattern: '^[-._a-zA-Z0-9]+$',
                  default: 'password',
                },
              },
            },
          },
        },
        allowedNamespaces: {
          type: 'object',
          default: { from: 'Same' },
          'x-kubernetes-validations': [
            {
              rule: "has(self.selector) == (self.from == 'Selector')",
              message: 'selector goes with from Selector, and only with it',
            },
          ],
          properties: {
            from: { type: 'string', enum: ['Same', 'All', 'Selector'], default: 'Same' },
            selector: {
              type: 'object',
              minProperties: 1,
              properties: {
                matchLabels: {
                  type: 'object',
                  minProperties: 1,
                  maxProperties: 16,
                  additionalProperties: { type: 'string', maxLength: 63 },
                },
                matchExpressions: {
                  type: 'array',
                  minItems: 1,
                  maxItems: 16,
                  'x-kubernetes-list-type': 'atomic',
                  items: {
                    type: 'object',
                    required: ['key', 'operator'],
                    'x-kubernetes-validations': [
                      {
                        rule: "(self.operator == 'In' || self.operator == 'NotIn') == has(self.values)",
                        message: 'values go with In and NotIn, and only with them',
                      },
                    ],
                    properties: {
                      key: { type: 'string', minLength: 1, maxLength: 317 },
                      operator: { type: 'string', enum: ['In', 'NotIn', 'Exists', 'DoesNotExist'] },
                      values: {
                        type: 'array',
                        minItems: 1,
                        maxItems: 64,
                        'x-kubernetes-list-type': 'set',
                        items: { type: 'string', maxLength: 63 },
                      },
                    },
                  },
                },
              },
            },
          },
        },
        policyNamespaces: {
          type: 'array',
          maxItems: 32,
          'x-kubernetes-list-type': 'set',
          items: {
            type: 'string',
            minLength: 1,
            maxLength: 63,
            pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
          },
        },
        enforcement: { type: 'string', enum: ['Enforce', 'Observe'], default: 'Enforce' },
        classification: {
          type: 'array',
          maxItems: 16,
          'x-kubernetes-list-type': 'set',
          items: { type: 'string', minLength: 1, maxLength: 63 },
        },
        lockdownPorts: {
          type: 'array',
          maxItems: 16,
          'x-kubernetes-list-type': 'set',
          items: { type: 'integer', format: 'int32', minimum: 1, maximum: 65535 },
        },
        catalogCheck: { type: 'string', enum: ['Interval', 'Statement'], default: 'Interval' },
        untestedVersions: { type: 'string', enum: ['Refuse', 'Allow'], default: 'Refuse' },
      },
    },
    status: {
      type: 'object',
      properties: {
        observedGeneration: { type: 'integer', format: 'int64', minimum: 0 },
        conditions: {
          type: 'array',
          maxItems: 16,
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['type'],
          items: {
            type: 'object',
            required: ['type', 'status', 'lastTransitionTime', 'reason', 'message'],
            properties: {
              type: { type: 'string', maxLength: 316, pattern: '^[A-Z][A-Za-z0-9]*$' },
              status: { type: 'string', enum: ['True', 'False', 'Unknown'] },
              observedGeneration: { type: 'integer', format: 'int64', minimum: 0 },
              lastTransitionTime: { type: 'string', format: 'date-time', maxLength: 64 },
              reason: {
                type: 'string',
                minLength: 1,
                maxLength: 1024,
                pattern: '^[A-Z][A-Za-z0-9]*$',
              },
              message: { type: 'string', maxLength: 32768 },
            },
          },
        },
        credentialVersion: { type: 'string', maxLength: 253 },
      },
    },
  },
};
