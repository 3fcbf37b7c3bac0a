type Labels = Readonly<Record<string, string>>

/** What can be selected: any Kubernetes object. */
interface Labelled {
  readonly metadata: { readonly labels?: Labels }
}

/** Whether an object's labels satisfy a selector. */
export type LabelSelector = (object: Labelled) => boolean

const everyObject: LabelSelector = () => true

/** Matches every object without looking at it. client-go: `labels.Everything`. */
export function everything(): LabelSelector {
  return everyObject
}

type Requirement = (labels: Labels) => boolean

const NO_LABELS: Labels = {}

/**
 * Parses a selector as kubectl has it: requirements joined by `,`, each one of `key`, `!key`, `key = value`,
 * `key == value`, `key != value`, `key in (a, b)`, `key notin (a, b)`, `key > 5`, `key < 5`. `!=` and `notin` match a
 * missing label; `>` and `<` compare integers and match nothing else. The empty selector matches everything.
 * Throws a SyntaxError that names the place. Source: kubernetes.io, "Labels and Selectors"; apimachinery `labels.Parse`.
 */
export function parseLabelSelector(text: string): LabelSelector {
  const requirements = new Parser(text).parse()
  if (requirements.length === 0) return everyObject
  return ({ metadata }) => {
    const labels = metadata.labels ?? NO_LABELS
    return requirements.every((holds) => holds(labels))
  }
}

const TOKEN = /\s*(?:([(),<>]|==|!=|=|!)|([A-Za-z0-9](?:[A-Za-z0-9_./-]*[A-Za-z0-9])?))\s*/y
const VALUE = /^(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/
const KEY = /^(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/

interface Token {
  readonly text: string
  readonly at: number
  readonly type: 'sign' | 'word' | 'end'
}

class Parser {
  readonly #text: string
  readonly #tokens: readonly Token[]
  #next = 0

  constructor(text: string) {
    this.#text = text
    this.#tokens = [...tokenize(text)]
  }

  parse(): readonly Requirement[] {
    if (this.#peek().type === 'end') return []
    const requirements = [this.#requirement()]
    while (this.#accept(',')) requirements.push(this.#requirement())
    if (this.#peek().type !== 'end') throw this.#unexpected('"," or the end')
    return requirements
  }

  #requirement(): Requirement {
    if (this.#accept('!')) {
      const key = this.#key()
      return (labels) => !Object.hasOwn(labels, key)
    }
    const key = this.#key()
    if (this.#accept('=') || this.#accept('==')) return isOneOf(key, new Set([this.#value()]))
    if (this.#accept('!=')) return isNoneOf(key, new Set([this.#value()]))
    if (this.#accept('>')) return compares(key, this.#integer(), (label, bound) => label > bound)
    if (this.#accept('<')) return compares(key, this.#integer(), (label, bound) => label < bound)
    if (this.#accept('in')) return isOneOf(key, this.#values())
    if (this.#accept('notin')) return isNoneOf(key, this.#values())
    return (labels) => Object.hasOwn(labels, key)
  }

  #values(): ReadonlySet<string> {
    if (!this.#accept('(')) throw this.#unexpected('"("')
    const values = new Set([this.#value()])
    while (this.#accept(',')) values.add(this.#value())
    if (!this.#accept(')')) throw this.#unexpected('"," or ")"')
    return values
  }

  #key(): string {
    const { type, text } = this.#peek()
    if (type !== 'word' || !KEY.test(text)) throw this.#unexpected('a label key')
    this.#next++
    return text
  }

  /** A value may be empty: `key=`, `key in (a,)`. */
  #value(): string {
    const { type, text } = this.#peek()
    if (type !== 'word') return ''
    if (!VALUE.test(text)) throw this.#unexpected('a label value')
    this.#next++
    return text
  }

  #integer(): bigint {
    const { type, text } = this.#peek()
    const value = type === 'word' ? integerOf(text) : undefined
    if (value === undefined) throw this.#unexpected('an integer')
    this.#next++
    return value
  }

  #accept(text: string): boolean {
    const token = this.#peek()
    if (token.type === 'end' || token.text !== text) return false
    this.#next++
    return true
  }

  #peek(): Token {
    return this.#tokens[this.#next] ?? { type: 'end', text: '', at: this.#text.length }
  }

  #unexpected(wanted: string): SyntaxError {
    const { at, text } = this.#peek()
    const found = text === '' ? 'the end' : JSON.stringify(text)
    return new SyntaxError(
      `label selector ${JSON.stringify(this.#text)}, column ${at + 1}: ${found} instead of ${wanted}`,
    )
  }
}

function* tokenize(text: string): Generator<Token> {
  TOKEN.lastIndex = 0
  const end = text.trimEnd().length
  let at = 0
  while (at < end) {
    TOKEN.lastIndex = at
    const match = TOKEN.exec(text)
    if (!match) {
      const place = `column ${at + 1}`
      throw new SyntaxError(`label selector ${JSON.stringify(text)}, ${place}: a character that belongs to no selector`)
    }
    const [whole, sign, word] = match
    const offset = at + whole.length - whole.trimStart().length
    yield { text: sign ?? word ?? '', at: offset, type: sign ? 'sign' : 'word' }
    at += whole.length
  }
}

function isOneOf(key: string, values: ReadonlySet<string>): Requirement {
  return (labels) => {
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined
    return value !== undefined && values.has(value)
  }
}

type Compare = (label: bigint, bound: bigint) => boolean

function compares(key: string, bound: bigint, holds: Compare): Requirement {
  return (labels) => {
    const label = Object.hasOwn(labels, key) ? integerOf(labels[key] ?? '') : undefined
    return label !== undefined && holds(label, bound)
  }
}

const MAX_INT64 = 2n ** 63n - 1n

/** A label holds no sign. Undefined for anything that does not fit int64. */
function integerOf(text: string): bigint | undefined {
  if (!/^[0-9]+$/.test(text)) return undefined
  const value = BigInt(text)
  return value <= MAX_INT64 ? value : undefined
}

function isNoneOf(key: string, values: ReadonlySet<string>): Requirement {
  const isOne = isOneOf(key, values)
  return (labels) => !isOne(labels)
}
