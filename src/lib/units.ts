/** Durations and sizes as people write them in a configuration: `500ms`, `15s`, `64KiB`. */

const durations = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const
const sizes = { B: 1, kB: 1_000, MB: 1_000_000, GB: 1_000_000_000, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 } as const

/**
 * `500ms`, `15s`, `5m`, `1h`, `1.5h`, or `0`, in milliseconds. One number and one unit.
 * Throws a RangeError that names the text and the units.
 */
export function parseDuration(text: string): number {
  return parse(text, durations, 'duration', '500ms, 15s, 5m or 1h')
}

/**
 * `64KiB`, `1MiB`, `1GiB` (powers of 1024), `10kB`, `1MB`, `1GB` (powers of 1000), `512B`, or `0`, in whole bytes.
 * Throws a RangeError that names the text and the units.
 */
export function parseBytes(text: string): number {
  return Math.floor(parse(text, sizes, 'size', '64KiB, 1MiB, 1GiB, 10kB or 1MB'))
}

function parse(text: string, units: Readonly<Record<string, number>>, what: string, examples: string): number {
  if (text === '0') return 0
  const [, number, unit = ''] = /^([0-9]+(?:\.[0-9]+)?)([A-Za-z]+)$/.exec(text) ?? []
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined
  const value = factor === undefined ? Number.NaN : Number(number) * factor
  if (!Number.isSafeInteger(Math.floor(value))) {
    throw new RangeError(`not a ${what}: ${JSON.stringify(text.slice(0, 60))}; write it like ${examples}`)
  }
  return value
}
