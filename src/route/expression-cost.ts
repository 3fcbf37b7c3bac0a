/**
 * What an expression may cost. CEL has no loops but its macros, so its work is bounded by how they are nested, by how long
 * the lists are that they go through, and by how long the values are that are built and searched in them. The first is
 * decided when it is compiled; the others by a meter, which the expression is rewritten to call.
 */
import type { ASTNode } from '@marcbachmann/cel-js'

/** Steps for one object: parts of the expression that are evaluated, mostly. */
const BUDGET = 500_000
/** A turn of a loop counts as so many at least: it may fail, which costs as much as all of them. */
const LEAST_PER_TURN = 40
/** So many characters of text are searched in a step. */
const CHARACTERS = 50

const loops: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'map', 'filter'])

/** What is thrown when the budget is spent. One for all: each turn of a loop may throw it. */
export const spent = new Error('the expression goes through too much')

/** One evaluation's work. */
export class Meter {
  #left = BUDGET

  begin(): void {
    this.#left = BUDGET
  }

  /** Returns the value, or throws `spent` before anything is done with it, or with each of its elements. */
  readonly charge = (value: unknown, perElement: unknown = 1): unknown => {
    this.#left -= weightOf(value) * Number(perElement)
    if (this.#left < 0) throw spent
    return value
  }
}

function weightOf(value: unknown): number {
  if (typeof value === 'string') return 1 + value.length / CHARACTERS
  if (Array.isArray(value)) return 1 + value.length
  if (value instanceof Map || value instanceof Set) return 1 + value.size
  return typeof value === 'object' && value !== null ? 1 + Object.keys(value).length : 1
}

/** Whether it has a loop; without any, its work is that of its text. */
export function hasLoop(node: ASTNode): boolean {
  return isLoop(node) || childrenOf(node).some(hasLoop)
}

/** How deep loops are in one another. A `map` over the result of a `map` counts too: what they build multiplies. */
export function loopDepth(node: ASTNode): number {
  const inner = childrenOf(node).map(loopDepth)
  if (!isLoop(node)) return Math.max(0, ...inner)
  const [receiver = 0, ...body] = inner
  return Math.max(receiver + (node.args[0] === 'map' ? 1 : 0), 1 + Math.max(0, ...body))
}

function sizeOf(node: ASTNode): number {
  return childrenOf(node).reduce((sum, child) => sum + sizeOf(child), 1)
}

type Call = Extract<ASTNode, { readonly op: 'rcall' }>

/** Whether it is a call of `all`, `exists`, `exists_one`, `filter` or `map`. */
export function isLoop(node: ASTNode): node is Call {
  return node.op === 'rcall' && loops.has(node.args[0])
}

/** Of a call by a receiver, that first. */
export function childrenOf(node: ASTNode): readonly ASTNode[] {
  switch (node.op) {
    case 'value':
    case 'id':
      return []
    case '.':
    case '.?':
      return [node.args[0]]
    case 'call':
      return node.args[1]
    case 'rcall':
      return [node.args[1], ...node.args[2]]
    case 'map':
      return node.args.flat()
    case '!_':
    case '-_':
      return [node.args]
    default:
      return node.args
  }
}

/**
 * The same expression, in which `charge` is called with every list before it is gone through and, within loops, with
 * everything before it is searched, split, joined or compared with what is not written in the expression itself.
 */
export function metered(root: ASTNode, charge: string): string {
  const asIs = ({ input, start, end }: ASTNode) => input.slice(start, end)
  const write = (node: ASTNode, isInLoop: boolean): string => {
    const part = (inner: ASTNode) => `(${write(inner, isInLoop)})`
    const charged = (inner: ASTNode) => `${charge}${part(inner)}`
    const ifInLoop = isInLoop ? charged : part
    switch (node.op) {
      case 'value':
      case 'id':
        return asIs(node)
      case '.':
      case '.?':
        return `${part(node.args[0])}${node.op}${node.args[1]}`
      case '[]':
        return `${part(node.args[0])}[${part(node.args[1])}]`
      case '[?]':
        return `${part(node.args[0])}[?${part(node.args[1])}]`
      case 'call': {
        const [name, args] = node.args
        // its argument is a path, not a value
        return name === 'has' ? asIs(node) : `${name}(${args.map(ifInLoop).join(', ')})`
      }
      case 'rcall': {
        const [name, receiver, args] = node.args
        if (isLoop(node)) {
          const [variable, ...body] = args
          const inside = [...(variable ? [asIs(variable)] : []), ...body.map((inner) => write(inner, true))]
          const perTurn = Math.max(LEAST_PER_TURN, sizeOf(node) - sizeOf(receiver))
          return `${charge}(${part(receiver)}, ${perTurn}).${name}(${inside.join(', ')})`
        }
        const on = isNamespace(receiver) ? asIs(receiver) : ifInLoop(receiver)
        return `${on}.${name}(${args.map(part).join(', ')})`
      }
      case 'list':
        return `[${node.args.map(part).join(', ')}]`
      case 'map':
        return `{${node.args.map(([name, value]) => `${part(name)}: ${part(value)}`).join(', ')}}`
      case '!_':
      case '-_':
        return `${node.op[0]}${part(node.args)}`
      case '?:':
        return node.args.map(part).reduce((text, branch, index) => `${text} ${index === 1 ? '?' : ':'} ${branch}`)
      default: {
        const [left, right] = node.args
        const isShort = left.op === 'value' || right.op === 'value'
        if (node.op === '+' || node.op === 'in' || (!isShort && (node.op === '==' || node.op === '!=')))
          return `${ifInLoop(left)} ${node.op} ${ifInLoop(right)}`
        // a long chain is not to become a deep one
        const first = left.op === node.op ? write(left, isInLoop) : part(left)
        return `${first} ${node.op} ${part(right)}`
      }
    }
  }
  return write(root, false)
}

/** `optional` of `optional.of(x)` is no value. */
function isNamespace({ op, args }: ASTNode): boolean {
  return op === 'id' && args === 'optional'
}
