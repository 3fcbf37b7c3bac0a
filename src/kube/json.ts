import { parseExactly } from '../lib/exact-json.ts'
import { KubeError } from './errors.ts'

export type JsonRecord = Readonly<Record<string, unknown>>

export const isRecord = (value: unknown): value is JsonRecord =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Parses one JSON text; no number in it changes. Throws `unusable`, without a piece of the text: it may hold a secret. */
export function parseJson(bytes: Buffer, what: string): unknown {
  try {
    return parseExactly(bytes)
  } catch {
    throw new KubeError('unusable', `${what} is not JSON (${bytes.length} bytes)`)
  }
}
