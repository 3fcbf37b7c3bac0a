import type { KubeObject } from '../kube/object.ts'

/** Whether an object's labels satisfy a selector. */
export type LabelSelector = (object: KubeObject) => boolean

const everyObject: LabelSelector = () => true

/** Matches every object without looking at it. client-go: `labels.Everything`. */
export function everything(): LabelSelector {
  return everyObject
}

type Labels = Readonly<Record<string, string>>
type Requirement = (labels: Labels) => boolean

const NO_LABELS: Labels = {}

/**
 * Parses a selector as kubectl has it: requirements joined by `,`, each one of `key`, `!key`, `key = value`,
 * `key == value`, `key != value`, `key in (a, b)`, `key notin (a, b)`. `!=` and `notin` match a missing label. The empty
 * selector matches everything. Throws a SyntaxError that names the place.
 * Source: kubernetes.io, "Labels and Selectors".
 */
export function parseLabelSelector(text: string): LabelSelector {
  const requirements = new Parser(text).parse()
  if (requirements.length === 0) return everyObject
  return ({ metadata }) => {
    const labels = metadata.labels ?? NO_LABELS
    return requirements.every((holds) => holds(labels))
  }
}

const TOKEN = /\s*(?:([(),]|==|!=|=|!)|([A-Za-z0-9](?:[A-Za-z0-9_./-]*[A-Za-z0-9])?))\s*/y
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

function isNoneOf(key: string, values: ReadonlySet<string>): Requirement {
  const isOne = isOneOf(key, values)
  return (labels) => !isOne(labels)
}
