import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSecrets, parseResourceName } from './resource-name.ts'

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
