/** For tests: CloudEvents read the way a receiver would, independently of the encoder. */
import type { Received } from './contract-target.ts'

/** One event in the JSON format. The data is cut out of the text, so that not a byte of it changes. */
export function decodeStructured(text: string): Received {
  const { data, ...attributes } = JSON.parse(text)
  return { attributes, data: data === undefined ? undefined : member(text, 'data') }
}

/** One event in binary mode: attributes from headers with lower-case names, percent-decoded once. */
export function decodeBinary(headers: Readonly<Record<string, string>>, body: string): Received {
  const attributes: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (name === 'content-type') attributes.datacontenttype = value
    if (!name.startsWith('ce-')) continue
    const text = decodeURIComponent(value.replace(/^"(.*)"$/, '$1').replaceAll('\\"', '"'))
    attributes[name.slice(3)] = name === 'ce-collapsed' ? text === 'true' : text
  }
  return { attributes, data: body }
}

/** The text of a top-level member of a JSON object. */
function member(json: string, name: string): string | undefined {
  let depth = 0
  let start: number | undefined
  for (let at = 0; at < json.length; at++) {
    const sign = json[at]
    if (sign === '"') {
      const end = stringEnd(json, at)
      const isName = depth === 1 && start === undefined && json[end + 1] === ':'
      if (isName && json.slice(at, end + 1) === JSON.stringify(name)) start = end + 2
      at = end
    } else if (depth === 1 && start !== undefined && (sign === ',' || sign === '}')) {
      return json.slice(start, at)
    } else if (sign === '{' || sign === '[') depth++
    else if (sign === '}' || sign === ']') depth--
  }
  return undefined
}

/** Where the string that opens at `start` closes. */
function stringEnd(json: string, start: number): number {
  let end = json.indexOf('"', start + 1)
  while (isEscaped(json, end)) end = json.indexOf('"', end + 1)
  return end
}

function isEscaped(json: string, at: number): boolean {
  let backslashes = 0
  while (json[at - 1 - backslashes] === '\\') backslashes++
  return backslashes % 2 === 1
}
