/** `deltawire/events`: the public contract in code. docs/events.md says what a consumer can rely on. */
export * from './attributes.ts'
export * from './copy.ts'
export * from './data.ts'
export * from './decode.ts'
export * from './definition.ts'
export {
  batched,
  batchedContentType,
  type Encodable,
  encodeHeaderValue,
  httpBinary,
  structured,
  structuredContentType,
} from './encode.ts'
export * from './ids.ts'
export * from './types.ts'
