/** One term of a field selector. */
export interface FieldRequirement {
  readonly type: 'equals' | 'differs'
  readonly field: string
  readonly value: string
}

/**
 * Parses `spec.nodeName=node-1,status.phase!=Running`; in a value, `\` stands before `,` `=` and `\`.
 * Throws a RangeError. Source: apimachinery `fields.ParseSelector`.
 */
export function parseFieldSelector(text: string): readonly FieldRequirement[] {
  if (text.trim() === '') throw new RangeError('an empty field selector: leave the key out to select all')
  return splitUnescaped(text).map((term) => {
    const match = /^([A-Za-z0-9_.[\]"'/-]+)(==|!=|=)((?:[^\\=]|\\[\\,=])*)$/.exec(term)
    const [, field, operator, value] = match ?? []
    if (field === undefined || value === undefined) {
      throw new RangeError(`${quote(term)} is not field=value, field==value or field!=value`)
    }
    return { type: operator === '!=' ? 'differs' : 'equals', field, value: value.replace(/\\(.)/g, '$1') }
  })
}

function splitUnescaped(text: string): readonly string[] {
  const terms: string[] = []
  let start = 0
  for (let index = 0; index < text.length; index++) {
    if (text[index] === '\\') index++
    else if (text[index] === ',') {
      terms.push(text.slice(start, index))
      start = index + 1
    }
  }
  return [...terms, text.slice(start)]
}

const quote = (text: string) => JSON.stringify(text.slice(0, 100))
