import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { promisify } from 'node:util'
import type { KubeObject } from '../kube/object.ts'
import { parseExactly } from '../lib/exact-json.ts'
import { compileExpression, type Verdict } from './expression.ts'

/** As an object comes from a frame: own members only, whatever their names. */
const object = (json: string): KubeObject => parseExactly(Buffer.from(json)) as KubeObject

const pod = object(`{
  "apiVersion": "v1", "kind": "Pod",
  "metadata": {
    "name": "web-1", "namespace": "shop", "labels": { "app": "web", "a.b/c": "1" },
    "creationTimestamp": "2026-01-01T00:00:00Z"
  },
  "spec": {
    "replicas": 3, "nodeName": null,
    "containers": [{ "name": "app", "image": "web:1" }, { "name": "proxy" }]
  }
}`)

const judge = (text: string, of: KubeObject = pod): Verdict => compileExpression(text).test(of)
const failed = (reason: string) => ({ type: 'Failed', reason })

const judged: readonly (readonly [string, unknown])[] = [
  ['true', true],
  ['object.kind == "Pod"', true],
  ["object.kind != 'Pod' || object.status.phase != 'Succeeded'", failed('missing')],
  ["object.kind == 'Pod' || object.status.phase != 'Succeeded'", true],
  ["object.status.phase == 'x' || object.kind == 'Pod'", true],
  ['has(object.status)', false],
  ['has(object.status) && object.status.phase == "x"', false],
  ['object.?status.?phase.orValue("none") == "none"', true],
  ['object.?status.phase.hasValue()', false],
  ['optional.of(object.kind).orValue("") == "Pod"', true],
  ['object.metadata.labels["a.b/c"] == "1"', true],
  ['"app" in object.metadata.labels', true],
  ['"toString" in object.metadata.labels', false],
  ['object.metadata.namespace in ["shop", "pay"]', true],
  ['object.metadata.name.startsWith("web-")', true],
  ['object.metadata.name.split("-")[1] == "1"', true],
  ['object.spec.nodeName == null', true],
  ['object.spec.containers.exists(c, has(c.image) && c.image.endsWith(":1"))', true],
  ['object.spec.containers.all(c, c.name != "")', true],
  ['object.spec.containers.exists_one(c, c.name == "app")', true],
  ['object.spec.containers.filter(c, has(c.image)).map(c, c.name) == ["app"]', true],
  ['object.spec.containers.map(c, c.name + "!").exists(n, n == "app!")', true],
  ['size(object.spec.containers) == 2', true],
  ['object.metadata.labels.exists(key, key.contains("/"))', true],
  ['[1, "a"].exists(x, x == "a")', true],
  ['timestamp(object.metadata.creationTimestamp) < timestamp("2027-01-01T00:00:00Z")', true],
  ['object.spec.containers[7].name == "x"', failed('missing')],
  ['object.spec.replicas + "x" == "3x"', failed('type')],
  ['object.spec.containers.all(c, c.name)', failed('type')],
  ['object.spec.replicas', failed('result')],
  ['object.kind.all(x, true)', failed('type')],
]

for (const [text, expected] of judged) {
  test(`${text} is ${JSON.stringify(expected)}`, () => assert.deepEqual(judge(text), expected))
}

test('what docs/routes.md lists is there', () => {
  for (const text of [
    'object.kind.indexOf("o") == 1 && object.kind.lastIndexOf("o") == 1',
    'object.kind.substring(1) == "od" && object.kind.substring(0, 1) == "P"',
    'object.kind.lowerAscii() == "pod" && object.kind.upperAscii() == "POD" && " a ".trim() == "a"',
    'object.metadata.name.split("-").join("/") == "web/1" && object.kind.size() == 3',
    'object.?a.or(object.?kind).value() == "Pod" && !object.?a.hasValue()',
    'object.spec[?"a"].orValue(1) == 1',
    'int("3") == 3 && double("1.5") == 1.5 && string(true) == "true" && bool("true")',
    'duration("90m") > duration("1h") && type(object.kind) == string',
    'timestamp(object.metadata.creationTimestamp).getFullYear() == 2026',
    'object.spec.replicas > 2 ? object.kind == "Pod" : false',
  ]) {
    assert.equal(judge(text), true, text)
  }
  assert.deepEqual(judge('has(object.a.b)'), failed('missing'))
})

test('numbers of an object go with the integers of an expression', () => {
  for (const text of [
    'object.spec.replicas == 3',
    'object.spec.replicas in [1, 3]',
    'object.spec.replicas + 1 == 4 && 1 + object.spec.replicas == 4',
    'object.spec.replicas - 1 == 2 && 4 - object.spec.replicas == 1',
    'object.spec.replicas * 2 == 6 && 2 * object.spec.replicas == 6',
    'object.spec.replicas / 2 == 1.5 && 6 / object.spec.replicas == 2',
    'object.spec.replicas % 2 == 1 && 7 % object.spec.replicas == 1',
    'object.spec.replicas % object.spec.replicas == 0',
    '-object.spec.replicas < 0 && object.spec.replicas >= 3',
    'string(object.spec.replicas) == "3" && int(object.spec.replicas) == 3',
  ]) {
    assert.equal(judge(text), true, text)
  }
})

test('an integer that a double cannot hold is compared by its digits', () => {
  const one = object('{"spec":{"id":9223372036854775807,"below":-9223372036854775808,"beyond":18446744073709551615}}')
  assert.equal(judge('object.spec.id == 9223372036854775807', one), true)
  assert.equal(judge('object.spec.id == 9223372036854775806', one), false)
  assert.equal(judge('object.spec.id > 9223372036854775806 && object.spec.below < 0', one), true)
  assert.equal(judge('object.spec.beyond > 1', one), true)
  assert.equal(judge('object.spec.exists(name, object.spec[name] == 9223372036854775807)', one), true)
  assert.equal(judge('object.spec == {"a": 1}', object('{"spec":{"rawJSON":"1"}}')), false)
  assert.equal(judge('object.spec.rawJSON == "1"', object('{"spec":{"rawJSON":"1"}}')), true)
})

test('F57 no name of a member hides an object or is taken for one of Object.prototype', () => {
  const hostile = object(`{
    "kind": "ConfigMap",
    "metadata": { "name": "a", "annotations": { "constructor": "x", "__proto__": "y", "hasOwnProperty": "z" } },
    "data": { "__proto__": { "constructor": { "name": "Map" } }, "prototype": "p" }
  }`)
  for (const text of [
    'object.kind == "ConfigMap" && object.metadata.name == "a"',
    'object.metadata.annotations["constructor"] == "x" && object.metadata.annotations.constructor == "x"',
    'object.metadata.annotations["__proto__"] == "y"',
    'size(object.metadata.annotations) == 3',
    'object.metadata.annotations.exists(key, key == "constructor")',
    '"constructor" in object.metadata.annotations && !("constructor" in object.metadata)',
    'object.data["__proto__"].constructor.name == "Map" && object.data.prototype == "p"',
    'has(object.metadata.annotations.constructor) && !has(object.metadata.constructor)',
    'object.metadata.annotations == object.metadata.annotations',
    'object["metadata"]["annotations"]["constructor"] == "x"',
    'object.metadata.?annotations.?constructor.orValue("") == "x"',
    '[object].exists(o, o.metadata.annotations.constructor == "x")',
    'object.exists(key, key == "data" && "constructor" in object.metadata[key == "data" ? "annotations" : "labels"])',
    'object.metadata.exists(key, object.metadata[key] == object.metadata.annotations)',
  ]) {
    assert.equal(judge(text, hostile), true, text)
  }
  assert.deepEqual(judge('object.metadata.toString == "x"', hostile), failed('missing'))
  assert.deepEqual(judge('object.constructor == "x"', hostile), failed('missing'))
  assert.equal(Object.hasOwn(Object.prototype, 'name'), false)
})

test('an expression goes on after an object on which it failed in the middle of a loop', () => {
  const expression = compileExpression('object.spec.containers.map(c, c.name.size() + c.ports).exists(n, n > 3)')
  assert.deepEqual(expression.test(pod), failed('missing'))
  const other = object('{"spec":{"containers":[{"name":"abc","ports":1}]}}')
  assert.equal(expression.test(other), true)
  assert.deepEqual(expression.test(pod), failed('missing'))
})

const mistakes: readonly (readonly [string, RegExp])[] = [
  ['', /^an empty expression: leave the key out/],
  ['object.kind ==', /^not a CEL expression: unexpected token: the end \(character 15\)$/],
  ['object.kind = "Pod"', /^not a CEL expression: unexpected character: = \(character 13\); equal is ==$/],
  ['object.kind === "Pod"', /unexpected character: = \(character 15\); equal is ==$/],
  ['object.kind <> "Pod"', /unexpected token: > \(character 14\); unequal is !=$/],
  ['true and true', /\(character 6\); and is &&, or is \|\|$/],
  ['true | true', /\(character 6\); and is &&, or is \|\|$/],
  ['not object.x', /\(character 5\); not is !$/],
  ['object.kind == “Pod”', /\(character 16\); quotes are straight: " or '$/],
  ['object.kind == "Pod', /unterminated string \(character 16\); the quote that opens there is not closed$/],
  ['object.kind in ["Pod"', /expected \], got the end \(character 22\)$/],
  ['object.metadata.labels.app.kubernetes.io/name == "x"', /\(character 42\); .* in brackets, as in object\.metadata/],
  ['object.metadata.labels.app-name == "x"', /unknown variable: name \(character 28\); .* in brackets/],
  ['has(object.metadata.labels["app"])', /invalid argument \(character 5\); .*"app" in object\.metadata\.labels$/],
  ['true &&\n  kind == "Pod"', /unknown variable: kind \(line 2, character 3\); the only variable is object/],
  ['object.kind == Pod', /unknown variable: Pod \(character 16\); .*text is quoted/],
  ['lower(object.kind) == "pod"', /no matching overload for 'lower\(dyn\)' \(character 1\); .*docs\/routes\.md/],
  ['1 + "a" == 2', /no such overload: int \+ string/],
  ['size(object.spec)', /^gives a int, not true or false: compare it/],
  ['"x"', /^gives a string, not true or false/],
  ['object.metadata.name.matches("^(a+)+$")', /^matches is not available \(character 22\): .*startsWith/],
  ['[1].all(x, ["a"].exists(y, y.matches("b")))', /^matches is not available/],
  ['has(object.x) && matches(object.kind, "x")', /^matches is not available/],
  ['object.spec.all(object, object.a == 1)', /^all calls its element object \(character 17\)/],
  ['cel.bind(x, object.kind, x == "Pod")', /^bind is not available/],
  ['object.a.all(x, x.all(y, y.all(z, z == 1)))', /nested more than 2 deep/],
  ['object.a.map(x, [x, x]).map(x, [x, x]).map(x, [x, x]) == []', /nested more than 2 deep/],
  [`"${'x'.repeat(1024 * 1024)}" == ""`, /^1048584 characters; an expression has at most 8192/],
  [`${'('.repeat(4000)}true${')'.repeat(4000)}`, /maxDepth/],
  [`object${'.a'.repeat(100)} == 1`, /maxDepth/],
  ['!'.repeat(8000), /not a CEL expression|nested too deeply/],
  [`${'!'.repeat(8000)}true`, /maxAstNodes|nested too deeply/],
  [`${'['.repeat(4000)}`, /maxDepth/],
  [`true${' && true'.repeat(600)}`, /maxAstNodes/],
  [`1 in [${'1,'.repeat(300)}1]`, /maxListElements/],
]

for (const [text, message] of mistakes) {
  test(`${JSON.stringify(text.slice(0, 60))} is refused`, () => {
    assert.throws(() => compileExpression(text), { message })
  })
}

test('a message is short, whatever the expression', () => {
  for (const text of [`${'x'.repeat(8000)} == 1`, `f(${'"y",'.repeat(7)}"z")`, `"${'q'.repeat(8000)}`]) {
    assert.throws(
      () => compileExpression(text),
      ({ message }: Error) => message.length < 500,
    )
  }
})

test('what goes through too much fails before it has done so', () => {
  const list = JSON.stringify(Array.from({ length: 10_000 }, (_, index) => index))
  const large = object(`{"spec":{"list":${list},"text":"${'a'.repeat(3_000_000)}"}}`)
  const work = failed('work')
  assert.equal(judge('object.spec.list.all(x, x >= 0)', large), true)
  assert.deepEqual(judge('object.spec.list.all(x, object.spec.list.all(y, y >= 0))', large), work)
  assert.deepEqual(judge('object.spec.list.all(x, x in object.spec.list)', large), work)
  assert.deepEqual(judge('object.spec.list.all(x, object.spec.text.contains("a"))', large), work)
  assert.deepEqual(judge('object.spec.list.map(x, object.spec.list + [x]).size() > 0', large), work)
  assert.deepEqual(judge('object.spec.list.all(x, object.spec.text.split("").size() > 0)', large), work)
  assert.deepEqual(judge('object.spec.list.all(x, size(object.spec.text) > 0)', large), work)
  assert.deepEqual(judge('object.spec.list.exists(x, object.spec.list.filter(y, y > x).size() == 5)', large), work)
})

test('a small object is not short of budget after a large one', () => {
  const expression = compileExpression('object.l.all(x, object.l.exists(y, y == x))')
  const of = (length: number) => object(JSON.stringify({ l: Array.from({ length }, (_, index) => index) }))
  assert.deepEqual(expression.test(of(5_000)), failed('work'))
  assert.equal(expression.test(of(50)), true)
})

test('expressions work where no code may be made from text', async () => {
  const script = `
    import { compileExpression } from ${JSON.stringify(new URL('./expression.ts', import.meta.url).href)}
    const { test } = compileExpression('object.l.map(x, x + 1).exists(x, x == 2)')
    process.stdout.write(String(test({ l: [1] })))`
  const args = [
    '--disallow-code-generation-from-strings',
    '--disable-proto=delete',
    '--input-type=module',
    '-e',
    script,
  ]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  assert.equal(stdout, 'true')
})

test('the expressions of docs/routes.md are expressions', () => {
  const text = readFileSync(new URL('../../docs/routes.md', import.meta.url), 'utf8')
  const examples = [...text.matchAll(/^```cel\n([\s\S]*?)^```/gm)].flatMap(([, lines = '']) => lines.trim().split('\n'))
  assert.ok(examples.length > 10)
  for (const example of examples) assert.equal(typeof compileExpression(example).test, 'function', example)
  const listed = object(`{
    "kind": "Deployment",
    "metadata": {
      "name": "web-1", "namespace": "shop", "labels": { "team": "a" }, "creationTimestamp": "2026-02-01T00:00:00Z",
      "annotations": { "example.com/audit": "true" }
    },
    "spec": {
      "replicas": 4, "rules": [1],
      "containers": [{ "image": "registry.example.com/web:1", "resources": { "limits": {} } }]
    },
    "status": { "conditions": [{ "type": "Ready", "status": "False" }] }
  }`)
  assert.deepEqual(
    examples.filter((example) => judge(example, listed) !== true),
    ["object.kind == 'Pod' && object.metadata.namespace in ['shop', 'pay']"],
  )
})
