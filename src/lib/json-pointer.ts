/** JSON Pointers, RFC 6901, and what they lead through. */
import { isExactNumber } from './exact-json.ts'

/** A member of an object or an index of a list, as a step of a pointer: `a/b~c` is `a~1b~0c`. */
export function escapeStep(step: string | number): string {
  const text = String(step)
  return text.includes('~') || text.includes('/') ? text.replaceAll('~', '~0').replaceAll('/', '~1') : text
}

/** `/spec/containers/0`; the empty text for no steps: all of it. */
export function pointerOf(steps: readonly (string | number)[]): string {
  return steps.map((step) => `/${escapeStep(step)}`).join('')
}

/** The inverse of `escapeStep`. */
export function unescapeStep(step: string): string {
  return step.replaceAll('~1', '/').replaceAll('~0', '~')
}

/** A JSON object: what has members that a pointer can name. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isExactNumber(value)
}
