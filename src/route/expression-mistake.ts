/** What the language finds wrong with an expression, in words: what, where, and the way out. */
import { ParseError, TypeError as UntypedError } from '@marcbachmann/cel-js'

/** Throws what is no mistake in the text. */
export function mistake(error: unknown, text: string): Error {
  if (!(error instanceof ParseError || error instanceof UntypedError)) {
    if (error instanceof RangeError) return new RangeError('nested too deeply: at most 32 levels') // of the call stack
    throw error
  }
  const { summary, code, range } = error
  const start = range?.start ?? 0
  const [first = ''] = summary.split('\n')
  const words = lowerFirst(first.slice(0, 200))
  const what = code.endsWith('_token') ? words.replace(/\b[A-Z]+\b/g, (name) => signs[name] ?? name) : words
  const way = wayOut(code, text, start)
  return new SyntaxError(
    `not a CEL expression: ${what} (${placeOf(text, start)})${way === undefined ? '' : `; ${way}`}`,
  )
}

/** `character 5`; in a text of several lines `line 2, character 5`. */
export function placeOf(text: string, offset: number): string {
  const lines = text.slice(0, offset).split('\n')
  const column = (lines.at(-1)?.length ?? 0) + 1
  return text.trimEnd().includes('\n') ? `line ${lines.length}, character ${column}` : `character ${column}`
}

/** How the names of the language's tokens are written. */
const signs: Readonly<Record<string, string>> = {
  EOF: 'the end',
  IDENTIFIER: 'a name',
  NUMBER: 'a number',
  STRING: 'a text',
  LPAREN: '(',
  RPAREN: ')',
  LBRACKET: '[',
  RBRACKET: ']',
  LBRACE: '{',
  RBRACE: '}',
  DOT: '.',
  COMMA: ',',
  COLON: ':',
  QUESTION: '?',
  AND: '&&',
  OR: '||',
  EQ: '==',
  NE: '!=',
  LT: '<',
  LE: '<=',
  GT: '>',
  GE: '>=',
}

/** By what stands there: what people write who come from other languages. */
const habits: readonly (readonly [before: RegExp, there: RegExp, way: string])[] = [
  [/<\s*$/, /^>/, 'unequal is !='],
  [/(?:)/, /^[=~]/, 'equal is =='],
  [/(?:)/, /^(?:and|or|&|\|)(?![&|\w])/i, 'and is &&, or is ||'],
  [/\bnot\s+$/i, /(?:)/, 'not is !'],
  [/(?:)/, /^[\u2018-\u201f]/, 'quotes are straight: " or \''],
]

/** By the code of the mistake. */
const ways: Readonly<Record<string, string>> = {
  unknown_variable: 'the only variable is object, and text is quoted, as in object.kind == "Pod"',
  no_matching_overload: 'the functions are listed in docs/routes.md',
  limit_exceeded: 'split the expression over several routes, or select by labels in the source',
  unterminated_string: 'the quote that opens there is not closed',
  invalid_macro_argument:
    'has takes a field, as in has(object.spec.replicas); a label is asked for as in "app" in object.metadata.labels',
}

function wayOut(code: string, text: string, start: number): string | undefined {
  const before = text.slice(0, start)
  // a name with a sign in it is read as a subtraction or division
  if (code === 'unknown_variable' && /\.[\w.]*[-/]$/.test(before)) {
    return 'a name with - or / in it stands in brackets, as in object.metadata.labels["app.kubernetes.io/name"]'
  }
  if (code === 'unexpected_character' || code === 'unexpected_token') {
    const there = text.slice(start)
    const habit = habits.find(([left, right]) => left.test(before) && right.test(there))
    if (habit) return habit[2]
  }
  return Object.hasOwn(ways, code) ? ways[code] : undefined
}

function lowerFirst(text: string): string {
  return /^[A-Z][a-z ]/.test(text) ? `${text.charAt(0).toLowerCase()}${text.slice(1)}` : text
}
