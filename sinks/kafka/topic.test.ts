import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { event } from '../contract-kit.ts'
import { Topic } from './topic.ts'

const { attributes } = event({ id: '1', cluster: 'prod-eu', resource: 'deployments.apps', stream: 'workloads/pods' })

for (const [template, name] of [
  ['k8s.audit', 'k8s.audit'],
  ['k8s.{resource}', 'k8s.deployments.apps'],
  ['{cluster}_{stream}', 'prod-eu_workloads_pods'],
  ['{type}', 'io.deltawire.object.updated.v1'],
] as const) {
  test(`topic ${template} is ${name}`, () => {
    assert.equal(new Topic(template).of(attributes), name)
    assert.equal(new Topic(template).fixed, template === name ? name : undefined)
  })
}

for (const [template, message] of [
  ['k8s/audit', 'topic: "/" is not allowed; letters, digits, dots, _ and - are'],
  ['k8s.{namespace}', /^topic: \{namespace\} is no part of a topic; all events of a stream have \{cluster\}, /],
  ['k8s.{}', /^topic: \{\} is no part/],
  ['k8s.{resource', 'topic: "{" is not allowed; letters, digits, dots, _ and - are'],
  ['..', 'topic: Kafka allows 1 to 249 characters, and neither "." nor ".."'],
  ['x'.repeat(250), /^topic: Kafka allows 1 to 249 characters/],
] as const) {
  test(`topic ${template.slice(0, 20)} is refused`, () => {
    assert.throws(() => new Topic(template), { message })
  })
}

test('whatever the attributes are, a topic has a name that Kafka allows, or the event has none', () => {
  const topic = new Topic('{resource}')
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('.', '..', '', 'x'.repeat(250))),
      (resource) => {
        const name = topic.of({ ...attributes, resource })
        if (name === undefined) assert.ok(['', '.', '..'].includes(resource) || resource.length > 249)
        else assert.match(name, /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}$/)
      },
    ),
  )
})
