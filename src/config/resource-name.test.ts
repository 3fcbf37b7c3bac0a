import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKubeEvents, isSecrets, mayBeSame, parseResourceName } from './resource-name.ts'

test('a second part is a version if it looks like one, else the beginning of the group', () => {
  const cases: [string, string, string | undefined, string | undefined][] = [
    ['pods', 'pods', undefined, undefined],
    ['deployments.apps', 'deployments', undefined, 'apps'],
    ['deployments.v1.apps', 'deployments', 'v1', 'apps'],
    ['widgets.v1.example.com', 'widgets', 'v1', 'example.com'],
    ['widgets.v2beta10.example.com', 'widgets', 'v2beta10', 'example.com'],
    ['widgets.example.com', 'widgets', undefined, 'example.com'],
    ['widgets.v0.example.com', 'widgets', undefined, 'v0.example.com'],
    ['pods.v1', 'pods', 'v1', ''],
  ]
  for (const [text, resource, version, group] of cases) {
    assert.deepEqual(parseResourceName(text), { resource, version, group }, text)
  }
})

test('P8 Secrets are known by every spelling, and nothing else is taken for them', () => {
  for (const text of ['secrets', 'secret', 'secrets.v1']) assert.equal(isSecrets(parseResourceName(text)), true, text)
  for (const text of ['secrets.example.com', 'secrets.v1.example.com', 'sealedsecrets.bitnami.com', 'pods']) {
    assert.equal(isSecrets(parseResourceName(text)), false, text)
  }
})

test('two names may be the same resource, whatever their versions, unless their groups differ', () => {
  const same = (a: string, b: string) => mayBeSame(parseResourceName(a), parseResourceName(b))
  for (const [a, b] of [
    ['pods', 'pods.v1'],
    ['deployments.v1.apps', 'deployments.v1beta1.apps'],
    ['deployments', 'deployments.apps'],
    ['events', 'events.events.k8s.io'],
  ] as const) {
    assert.deepEqual([same(a, b), same(b, a)], [true, true], `${a} ${b}`)
  }
  for (const [a, b] of [
    ['pods', 'nodes'],
    ['ingresses.networking.k8s.io', 'ingresses.example.com'],
    // a name without a group is that of the core group, if it has one
    ['services', 'services.serving.knative.dev'],
  ] as const) {
    assert.deepEqual([same(a, b), same(b, a)], [false, false], `${a} ${b}`)
  }
})

test('KubeEvents have two names', () => {
  const names = ['events', 'events.v1', 'events.events.k8s.io', 'events.v1.events.k8s.io', 'events.example.com', 'pods']
  assert.deepEqual(
    names.filter((name) => isKubeEvents(parseResourceName(name))),
    names.slice(0, 4),
  )
})
