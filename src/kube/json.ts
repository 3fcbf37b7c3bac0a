import { KubeError } from './errors.ts'

export type JsonRecord = Readonly<Record<string, unknown>>

export const isRecord = (value: unknown): value is JsonRecord =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Parses one JSON text. Throws `unusable`, without a piece of the text: it may hold a secret. */
export function parseJson(bytes: Buffer, what: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    throw new KubeError('unusable', `${what} is not JSON (${bytes.length} bytes)`)
  }
}
