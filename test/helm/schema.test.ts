/** The schema of the values accepts every configuration that Deltawire accepts. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { Ajv } from 'ajv'
import { parse } from 'yaml'
import { portable } from '../../scripts/chart/portable.ts'
import { checkFormat, formats } from '../../src/config/formats.ts'

const schema = JSON.parse(readFileSync('helm/values.schema.json', 'utf8')) as { readonly properties: object }
// no format and no keyword of ours is known here, as in Helm
const validate = new Ajv({ allErrors: true, strict: false }).compile(schema)

test('it refers to nothing outside of itself and knows nothing but standard keywords', () => {
  const text = JSON.stringify(schema)
  assert.doesNotMatch(text, /"\$(ref|id|dynamicRef)"|"discriminator"|"format":"/)
})

test('every configuration in an example or document is accepted', () => {
  const documents = globSync('{README.md,docs/**/*.md,examples/**/*.md}').flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(([, text = '']) => text),
  )
  const files = globSync('{examples,src}/**/*.yaml').map((file) => readFileSync(file, 'utf8'))
  const configurations = [...documents, ...files].filter((text) => /^kind: Bridge$/m.test(text))
  assert.ok(configurations.length >= 5)
  for (const text of configurations) {
    assert.ok(validate({ config: parse(text) }), `${JSON.stringify(validate.errors)}\n${text}`)
  }
})

/** What the formats accept, at its edges. */
const samples: Readonly<Record<keyof typeof formats, readonly string[]>> = {
  duration: ['0', '0s', '500ms', '1.5h', '10s', '5m', '596h'],
  bytes: ['1B', '64KiB', '1.5MiB', '10kB', '1MB', '2GiB', '1GB'],
  'listen-address': [':8080', '127.0.0.1:0', '[::1]:65535', 'localhost:80'],
  'admin-address': ['off', '127.0.0.1:0', '[::1]:65535', 'localhost:80'],
  'host-port': ['kafka:9092', '10.0.0.1:1', 'kafka-0.kafka.svc.cluster.local:65535'],
  name: ['a', 'a.b-c', '9', 'x'.repeat(253)],
  cluster: ['prod-eu', 'Prod_EU.1', 'x'.repeat(253)],
  namespace: ['shop', '0', 'x'.repeat(63)],
  resource: ['pods', 'pods.v1', 'deployments.apps', 'widgets.v1beta1.example.com'],
  'label-selector': ['a=b', '!a', 'a in (b,c),d', 'example.com/a notin (b)'],
  'field-selector': ['spec.nodeName=a', 'status.phase!=Running'],
  'object-path': ['spec.users[*].password', 'data'],
  expression: ['true', "object.kind == 'Pod'", 'has(object.spec) &&\n  object.spec.replicas > 1\n'],
}

test('a pattern is at most as strict as the format that it stands for', () => {
  for (const [format, texts] of Object.entries(samples)) {
    const { pattern } = portable({ type: 'string', format })
    for (const text of texts) {
      assert.equal(checkFormat(format, text), undefined, `${text} is no ${format}`)
      assert.match(text, new RegExp(String(pattern)), `${format}: ${text}`)
    }
  }
  assert.deepEqual(Object.keys(samples).sort(), Object.keys(formats).sort())
})

test('zero needs no unit', () => {
  const config = {
    apiVersion: 'deltawire.io/v1',
    kind: 'Bridge',
    shutdown: { drain: 0 },
    sources: [{ resources: ['pods'], resync: { every: 0 } }],
    sinks: [{ name: 'out', type: 'stdout', batch: { linger: 0 } }],
  }
  assert.ok(validate({ config }), JSON.stringify(validate.errors))
})
