/**
 * Expressions of routes: CEL, the Common Expression Language, which Kubernetes has in its admission policies. Which
 * implementation, is known here and in expression-*.ts. Nothing an expression can say makes code, reads a clock or does
 * I/O, and what it costs is bounded (expression-cost.ts).
 */
import { type ASTNode, Environment, EvaluationError } from '@marcbachmann/cel-js'
import type { KubeObject } from '../kube/object.ts'
import { childrenOf, hasLoop, isLoop, loopDepth, Meter, metered, spent } from './expression-cost.ts'
import { mistake, placeOf } from './expression-mistake.ts'
import { reachOf, visible } from './expression-value.ts'

/** A condition on one object. */
export interface Expression {
  readonly text: string
  /** Never throws. Takes microseconds; at the limits, on the largest object, tenths of a second. */
  test(object: KubeObject): Verdict
}

/** What an expression says of an object, or why it cannot say it. */
export type Verdict = boolean | ExpressionFailure

/** No text of it holds a value of the object. */
export interface ExpressionFailure {
  readonly type: 'Failed'
  readonly reason: FailureReason
}

/** Few and constant: for labels of metrics, and for words in a log. */
export type FailureReason = keyof typeof failureReasons

export const failureReasons = {
  missing: 'a field or an element that it asks for is not there',
  type: 'a value is of a type that it does not expect',
  result: 'its result is neither true nor false',
  work: 'it would go through too many elements',
  other: 'it cannot be evaluated',
} as const

const failures: Readonly<Record<FailureReason, ExpressionFailure>> = {
  missing: { type: 'Failed', reason: 'missing' },
  type: { type: 'Failed', reason: 'type' },
  result: { type: 'Failed', reason: 'result' },
  work: { type: 'Failed', reason: 'work' },
  other: { type: 'Failed', reason: 'other' },
}

const reasons: Readonly<Record<string, FailureReason>> = {
  no_such_key: 'missing',
  index_out_of_bounds: 'missing',
  optional_value_missing: 'missing',
  no_such_overload: 'type',
  no_matching_overload: 'type',
  invalid_logical_operand: 'type',
  invalid_condition_type: 'type',
  invalid_comprehension_range: 'type',
  optional_expected: 'type',
  list_item_type_mismatch: 'type',
  field_type_mismatch: 'type',
  variable_type_mismatch: 'type',
}

const MAX_LENGTH = 8_192
const MAX_LOOP_DEPTH = 2
const LIMITS = { maxAstNodes: 500, maxDepth: 32, maxListElements: 200, maxMapEntries: 50, maxCallArguments: 8 } as const

/** Metered, an expression is nested deeper than as it was written; that it was not too large is known by then. */
const METERED_LIMITS = { ...LIMITS, maxAstNodes: 10_000, maxDepth: 1_000 } as const
const CHARGE = 'charge_'

const arithmetic: Readonly<Record<string, (left: number, right: number) => number>> = {
  '+': (left, right) => left + right,
  '-': (left, right) => left - right,
  '*': (left, right) => left * right,
  '/': (left, right) => left / right,
  '%': (left, right) => left % right,
}

const language = createLanguage()

/** Throws a SyntaxError or RangeError that says what is wrong, where, and the way out. */
export function compileExpression(text: string): Expression {
  if (text.trim() === '') throw new RangeError('an empty expression: leave the key out to let everything through')
  if (text.length > MAX_LENGTH) {
    throw new RangeError(
      `${text.length} characters; an expression has at most ${MAX_LENGTH}: several routes can share it`,
    )
  }
  const program = parse(text)
  checkCalls(program.ast)
  const checked = program.check()
  if (!checked.valid) throw mistake(checked.error, text)
  if (checked.type !== 'bool' && checked.type !== 'dyn') {
    throw new RangeError(`gives a ${checked.type}, not true or false: compare it, as in size(object.spec.rules) > 0`)
  }
  if (loopDepth(program.ast) > MAX_LOOP_DEPTH) {
    throw new RangeError(
      `all, exists, exists_one, map and filter are nested more than ${MAX_LOOP_DEPTH} deep, ` +
        'which takes too long on large objects: at most two in each other, and no third map after two',
    )
  }
  const reach = reachOf(program.ast)
  if (!hasLoop(program.ast)) return { text, test: (object) => verdict(program, visible(object, reach)) }

  const meter = new Meter()
  const runnable = language
    .clone({ limits: METERED_LIMITS })
    .registerFunction(`${CHARGE}(A): A`, meter.charge, { async: false })
    .registerFunction(`${CHARGE}(A, int): A`, meter.charge, { async: false })
    .parse(metered(program.ast, CHARGE))
  return {
    text,
    test: (object) => {
      meter.begin()
      return verdict(runnable, visible(object, reach))
    },
  }
}

function createLanguage(): Environment {
  const environment = new Environment({
    enableOptionalTypes: true,
    homogeneousAggregateLiterals: false,
    limits: LIMITS,
  }).registerVariable('object', 'map<string, dyn>')
  // numbers of JSON are doubles, and literals such as 1 are integers
  for (const [operator, of] of Object.entries(arithmetic)) {
    const apply = (left: unknown, right: unknown) => of(Number(left), Number(right))
    environment.registerOperator(`double ${operator} int: double`, apply)
    environment.registerOperator(`int ${operator} double: double`, apply)
  }
  environment.registerOperator('double % double', (left: unknown, right: unknown) => Number(left) % Number(right))
  return environment
}

function verdict(program: (variables: { readonly object: unknown }) => unknown, object: unknown): Verdict {
  try {
    const result = program({ object })
    return typeof result === 'boolean' ? result : failures.result
  } catch (error) {
    if (error === spent) return failures.work
    if (error instanceof EvaluationError) return failures[reasons[error.code] ?? 'other']
    return failures.other // a RangeError of a built-in: a string or a BigInt too long
  }
}

function parse(text: string) {
  try {
    return language.parse(text)
  } catch (error) {
    throw mistake(error, text)
  }
}

/** What the language has and is refused here, by name; at the first place where it stands. */
const refused: Readonly<Record<string, string>> = {
  matches:
    'a regular expression can take hours on a text that fits it badly: use startsWith, endsWith, contains, or ' +
    'split, as in object.metadata.name.startsWith("web-")',
  bind: 'write the value out where it is used',
}

function checkCalls(node: ASTNode): void {
  if (node.op === 'call' || node.op === 'rcall') {
    const [name] = node.args
    const variable = isLoop(node) ? node.args[2][0] : undefined
    if (variable?.op === 'id' && variable.args === 'object') {
      throw new RangeError(
        `${name} calls its element object (${placeOf(node.input, variable.start)}): use another name`,
      )
    }
    const start = node.op === 'call' ? node.start : node.input.indexOf(name, node.args[1].end)
    if (Object.hasOwn(refused, name)) {
      throw new RangeError(`${name} is not available (${placeOf(node.input, start)}): ${refused[name]}`)
    }
  }
  for (const child of childrenOf(node)) checkCalls(child)
}
