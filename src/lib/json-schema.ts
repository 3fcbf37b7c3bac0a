/** The part of JSON Schema (2020-12) that the project's definitions use, and the TypeScript type that one describes. */
export interface JsonSchema {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean' | 'null'
  readonly title?: string
  readonly description?: string
  readonly default?: unknown
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly examples?: readonly unknown[]
  readonly properties?: { readonly [name: string]: JsonSchema }
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | JsonSchema
  readonly items?: JsonSchema
  readonly minItems?: number
  readonly oneOf?: readonly JsonSchema[]
  readonly pattern?: string
  readonly format?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
}

/**
 * The type of a valid value, after defaults were filled in: a property that is required or has a default is present.
 * Write the schema `as const` (or pass it to a `const` type parameter).
 */
export type Infer<S> = S extends { readonly const: infer C }
  ? C
  : S extends { readonly enum: readonly (infer E)[] }
    ? E
    : S extends { readonly oneOf: readonly (infer O)[] }
      ? InferEach<O>
      : S extends { readonly type: 'object' }
        ? InferObject<S>
        : S extends { readonly type: 'array'; readonly items: infer I }
          ? readonly Infer<I>[]
          : S extends { readonly type: 'string' }
            ? string
            : S extends { readonly type: 'integer' | 'number' }
              ? number
              : S extends { readonly type: 'boolean' }
                ? boolean
                : S extends { readonly type: 'null' }
                  ? null
                  : unknown

type InferEach<O> = O extends unknown ? Infer<O> : never

type InferObject<S> = S extends { readonly properties: infer P }
  ? Flat<
      { readonly [K in keyof P as K extends Present<S, P> ? K : never]: Infer<P[K]> } & {
        readonly [K in keyof P as K extends Present<S, P> ? never : K]?: Infer<P[K]>
      } & Others<S>
    >
  : S extends { readonly additionalProperties: infer V extends JsonSchema }
    ? { readonly [name: string]: Infer<V> }
    : { readonly [name: string]: unknown }

/** Members without a schema are part of the type only where the schema says so in words: `additionalProperties: true`. */
type Others<S> = S extends { readonly additionalProperties: true } ? { readonly [name: string]: unknown } : unknown

type Present<S, P> =
  | (S extends { readonly required: readonly (infer R)[] } ? R : never)
  | { [K in keyof P]: P[K] extends { readonly default: unknown } ? K : never }[keyof P]

type Flat<T> = { [K in keyof T]: T[K] }
