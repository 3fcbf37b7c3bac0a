/**
 * Selectors as kubectl spells them. Guarantee: what parses here is accepted by the API server's own parser.
 * Source: apimachinery `labels.Parse`, `fields.ParseSelector`, "Labels and Selectors" of the Kubernetes documentation.
 */
export type LabelRequirement =
  | { readonly type: 'exists' | 'absent'; readonly key: string }
  | { readonly type: 'in' | 'not-in'; readonly key: string; readonly values: readonly string[] }
  | { readonly type: 'greater' | 'less'; readonly key: string; readonly value: string }

export interface FieldRequirement {
  readonly type: 'equals' | 'differs'
  readonly field: string
  readonly value: string
}

const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/
const DOMAIN = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/
const TOKEN = /\s*(==|!=|[=!,()<>]|[^\s=!,()<>]+)\s*/y

/**
 * `app=web,tier!=cache,env in (a,b),zone notin (x),gpu,!spot,cores>4`. Throws a RangeError that says what is wrong and
 * at which column (from 1).
 */
export function parseLabelSelector(text: string): readonly LabelRequirement[] {
  const tokens = new Tokens(text)
  const requirements: LabelRequirement[] = []
  if (tokens.peek() === undefined) throw new RangeError('an empty label selector: leave the key out to select all')
  do requirements.push(requirement(tokens))
  while (tokens.take(','))
  if (tokens.peek() !== undefined) throw tokens.unexpected('a comma or the end')
  return requirements
}

function requirement(tokens: Tokens): LabelRequirement {
  if (tokens.take('!')) return { type: 'absent', key: labelKey(tokens) }
  const key = labelKey(tokens)
  if (tokens.take('=') || tokens.take('==')) return { type: 'in', key, values: [labelValue(tokens)] }
  if (tokens.take('!=')) return { type: 'not-in', key, values: [labelValue(tokens)] }
  if (tokens.take('in')) return { type: 'in', key, values: labelValues(tokens) }
  if (tokens.take('notin')) return { type: 'not-in', key, values: labelValues(tokens) }
  if (tokens.take('>')) return { type: 'greater', key, value: integer(tokens) }
  if (tokens.take('<')) return { type: 'less', key, value: integer(tokens) }
  return { type: 'exists', key }
}

function labelKey(tokens: Tokens): string {
  const key = tokens.word('a label key')
  const slash = key.indexOf('/')
  const prefix = slash === -1 ? undefined : key.slice(0, slash)
  if ((prefix !== undefined && (prefix.length > 253 || !DOMAIN.test(prefix))) || !NAME.test(key.slice(slash + 1))) {
    throw tokens.wrong(`${quote(key)} is not a label key`)
  }
  return key
}

/** May be empty, as in `app=`. */
function labelValue(tokens: Tokens): string {
  const next = tokens.peek()
  if (next === undefined || next === ',' || next === ')') return ''
  const value = tokens.word('a label value')
  if (!NAME.test(value)) throw tokens.wrong(`${quote(value)} is not a label value`)
  return value
}

function labelValues(tokens: Tokens): readonly string[] {
  if (!tokens.take('(')) throw tokens.unexpected('( and a list of values')
  const values: string[] = []
  do values.push(labelValue(tokens))
  while (tokens.take(','))
  if (!tokens.take(')')) throw tokens.unexpected(')')
  return values
}

function integer(tokens: Tokens): string {
  const value = tokens.word('an integer')
  if (!/^-?[0-9]{1,18}$/.test(value)) throw tokens.wrong(`${quote(value)} is not an integer`)
  return value
}

class Tokens {
  readonly #text: string
  /** Where the token that `peek` shows begins, and where the one before it began. */
  #position = 0
  #last = 0
  #next: { readonly token: string; readonly end: number } | undefined

  constructor(text: string) {
    this.#text = text
    this.#read()
  }

  peek(): string | undefined {
    return this.#next?.token
  }

  take(token: string): boolean {
    if (this.#next?.token !== token) return false
    this.#advance()
    return true
  }

  word(what: string): string {
    const token = this.#next?.token
    if (token === undefined || /^[=!,()<>]/.test(token)) throw this.unexpected(what)
    this.#advance()
    return token
  }

  unexpected(expected: string): RangeError {
    const found = this.#next === undefined ? 'the end' : quote(this.#next.token)
    return new RangeError(`at column ${this.#position + 1}: ${expected} should be here, not ${found}`)
  }

  /** About the token that was taken last. */
  wrong(message: string): RangeError {
    return new RangeError(`at column ${this.#last + 1}: ${message}`)
  }

  #advance(): void {
    this.#last = this.#position
    this.#position = this.#next?.end ?? this.#position
    this.#read()
  }

  #read(): void {
    TOKEN.lastIndex = this.#position
    const match = TOKEN.exec(this.#text)
    this.#next = match?.[1] === undefined ? undefined : { token: match[1], end: TOKEN.lastIndex }
    if (match) this.#position += match[0].length - match[0].trimStart().length
  }
}

/** `spec.nodeName=node-1,status.phase!=Running`; in a value, `\` stands before `,` `=` and `\`. Throws a RangeError. */
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
