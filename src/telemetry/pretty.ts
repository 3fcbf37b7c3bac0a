import { stripVTControlCharacters } from 'node:util'

const colours: Readonly<Record<string, number>> = { trace: 90, debug: 90, info: 36, warn: 33, error: 31, fatal: 31 }

/** `12:34:56.789 WARN  the watch has failed  stream=workloads/pods code=reset` of a line of the log, for people. */
export function prettyLine(line: string, style: 'colour' | 'plain'): string {
  const { level, time, message, error, ...fields } = JSON.parse(line)
  const paint = (text: string, colour: number) => (style === 'colour' ? `\u001b[${colour}m${text}\u001b[0m` : text)
  const details = Object.entries(fields).map(([name, value]) => `${paint(`${name}=`, 90)}${inline(value)}`)
  if (error !== undefined) details.push(`${paint('error=', 31)}${inline(error?.message ?? error)}`)
  const head = `${paint(String(time).slice(11, 23), 90)} ${paint(String(level).toUpperCase().padEnd(5), colours[level] ?? 0)}`
  const text = [`${head} ${printable(String(message ?? ''))}`, details.join(' ')]
    .filter((part) => part !== '')
    .join('  ')
  return `${text}\n${stackOf(error, level)}`
}

function inline(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return /^[^\s"=]+$/.test(text) || typeof value !== 'string' ? printable(text) : JSON.stringify(printable(text))
}

/** Only where somebody has to look into the code. */
function stackOf(error: unknown, level: unknown): string {
  if (level !== 'error' && level !== 'fatal') return ''
  const stack = typeof error === 'object' && error !== null && 'stack' in error ? error.stack : undefined
  if (typeof stack !== 'string') return ''
  const frames = stack.split('\n').filter((line) => /^\s+at /.test(line))
  return frames.map((line) => `    ${printable(line.trim())}\n`).join('')
}

/** What comes from a cluster or an endpoint must not move the cursor of a terminal. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return stripVTControlCharacters(text).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '\ufffd')
}
