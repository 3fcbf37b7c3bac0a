import assert from 'node:assert/strict'
import { test } from 'node:test'
import { evaluate, parse } from '@marcbachmann/cel-js'
import fc from 'fast-check'
import type { KubeObject } from '../kube/object.ts'
import { compileExpression } from './expression.ts'
import { hasLoop, loopDepth, metered } from './expression-cost.ts'

const depth = (text: string) => loopDepth(parse(text).ast)
const written = (text: string) => metered(parse(text).ast, 'c')

test('loops count by how deep they are in one another, and map over map', () => {
  assert.equal(depth('a == 1'), 0)
  assert.equal(depth('a.all(x, x == 1) && b.all(x, x == 1)'), 1)
  assert.equal(depth('a.filter(x, x > 1).filter(x, x > 2).filter(x, x > 3).all(x, x == 4)'), 1)
  assert.equal(depth('a.all(x, x.b.exists(y, y == 1))'), 2)
  assert.equal(depth('a.map(x, [x]).map(x, [x]) == []'), 2)
  assert.equal(depth('a.map(x, x.map(y, y)).map(z, z) == []'), 3)
  assert.equal(depth('has(a.b) ? [a.c.map(x, x.all(y, y))] == [] : false'), 2)
  assert.equal(hasLoop(parse('{"a": [b ? c : !d.e.all(x, x)]}["a"] == 1').ast), true)
  assert.equal(hasLoop(parse('a.size() + size(b) > 1 || has(c.d)').ast), false)
})

test('what is gone through is charged for by its length and by what is done with each element', () => {
  assert.equal(written('a.b.all(x, x == 1)'), 'c(((a).b), 40).all(x, (x) == (1))')
  const long = `a.all(x, ${Array.from({ length: 20 }, (_, index) => `x != ${index}`).join(' || ')})`
  assert.match(written(long), /^c\(\(a\), 81\)\.all/)
})

test('in loops, what is searched, joined or compared is charged for; outside of them nothing is', () => {
  const inLoop = (text: string) => written(`a.map(x, ${text})`).slice('c((a), 40).map(x, '.length, -1)
  assert.equal(inLoop('x.contains("b")'), 'c(x).contains(("b"))')
  assert.equal(inLoop('size(x)'), 'size(c(x))')
  assert.equal(inLoop('x + "b"'), 'c(x) + c("b")')
  assert.equal(inLoop('x in b'), 'c(x) in c(b)')
  assert.equal(inLoop('x == b.d'), 'c(x) == c((b).d)')
  assert.equal(inLoop('x == "b"'), '(x) == ("b")')
  assert.equal(inLoop('has(x.b)'), 'has(x.b)')
  assert.doesNotMatch(written('a.contains("b") && size(a) > 1 && a in b && a + b == d'), /\bc\(/)
})

/** Text by choices: every list of numbers is one expression, with loops at most two deep. */
class Writer {
  readonly #choices: readonly number[]
  #next = 0

  constructor(choices: readonly number[]) {
    this.#choices = choices
  }

  #choose<T>(options: readonly [T, ...T[]]): T {
    const choice = this.#choices[this.#next++] ?? 0
    return options[choice % options.length] ?? options[0]
  }

  /** Out of choices, the first option is taken, which has no parts. */
  bool(scope: readonly string[]): string {
    const part = () => this.bool(scope)
    const int = () => this.int(scope)
    return this.#choose<() => string>([
      () => 'true',
      () => `${int()} ${this.#choose(['==', '!=', '<', '>='])} ${int()}`,
      () => `${part()} && ${part()}`,
      () => `(${part()} || ${part()})`,
      () => `!(${part()})`,
      () => `(${part()} ? ${part()} : ${part()})`,
      () => `${int()} in ${this.list(scope)}`,
      () => `${this.text()}.${this.#choose(['startsWith', 'contains'])}(${this.text()})`,
      () => this.#loop(scope, this.#choose(['exists', 'all', 'exists_one']), (inner) => this.bool(inner)),
      () => `{${this.text()}: ${int()}, "z": 1}["z"] == ${int()}`,
    ])()
  }

  int(scope: readonly string[]): string {
    const part = () => this.int(scope)
    return this.#choose<() => string>([
      () => scope.at(-1) ?? '1',
      () => this.#choose(['0', '2', '7', '0x1f']),
      () => `${part()} + ${part()}`,
      () => `(${part()} - ${part()})`,
      () => `${part()} * ${part()}`,
      () => `-(${part()})`,
      () => `size(${this.list(scope)})`,
      () => `${this.list(scope)}.size()`,
      () => `size(${this.text()} + ${this.text()})`,
      () => scope[0] ?? '3',
    ])()
  }

  list(scope: readonly string[]): string {
    return this.#choose<() => string>([
      () => '[1, 2, 3]',
      () => `[${this.int(scope)}, ${this.int(scope)}]`,
      () => `(${this.list(scope)} + ${this.list(scope)})`,
      () => this.#loop(scope, 'map', (inner) => this.int(inner)),
      () => this.#loop(scope, 'filter', (inner) => this.bool(inner)),
    ])()
  }

  text(): string {
    return this.#choose(['""', "'a'", '"a\\n\\"b"', 'r"\\d"', '"é\\u00e9"', "'''it's'''"])
  }

  #loop(scope: readonly string[], name: string, body: (scope: readonly string[]) => string): string {
    if (scope.length === 2) return name === 'map' || name === 'filter' ? '[4, 5]' : 'false'
    const variable = scope.length === 0 ? 'x' : 'y'
    return `([1, 2, 3])  .${name}( ${variable}, ${body([...scope, variable])})`
  }
}

const nothing: KubeObject = JSON.parse('{}')

test('a metered expression says what the expression says', () => {
  let loops = 0
  const choices = fc.array(fc.nat({ max: 59 }), { minLength: 1, maxLength: 40 })
  fc.assert(
    fc.property(choices, (choice) => {
      const text = new Writer(choice).bool([])
      const plain = (): unknown => {
        try {
          return evaluate(text)
        } catch {
          return 'failed'
        }
      }
      let verdict: unknown
      try {
        verdict = compileExpression(text).test(nothing)
      } catch (error) {
        assert.match(String(error), /nested more than 2 deep|no such overload/, text)
        return
      }
      if (hasLoop(parse(text).ast)) loops++
      assert.equal(typeof verdict === 'boolean' ? verdict : 'failed', plain(), text)
    }),
    { numRuns: 2_000 },
  )
  assert.ok(loops > 200, `${loops} with a loop`)
})
