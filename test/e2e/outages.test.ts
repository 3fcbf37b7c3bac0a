import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { test } from 'node:test'
import { Informer } from '../../src/informer/index.ts'
import { ApiClient } from '../../src/kube/api-client.ts'
import { loadKubeConfig } from '../../src/kube/kube-config.ts'
import { listWatch } from '../../src/kube/resource-list-watch.ts'
import { eventually } from '../support/eventually.ts'
import { startApiServer } from '../testbed/api-server.ts'
import { surviveOutages } from './support/outages.ts'
import { configMaps, recorded } from './support/recorded.ts'

test('P3 P5 F01 F06 nothing is lost when the API server is killed and when history is compacted away', async (t) => {
  const seed = Math.floor(Math.random() * 1e6)
  t.diagnostic(`seed ${seed}`)
  const result = await surviveOutages({ seed, operations: 1500, kills: 3 })
  t.diagnostic(JSON.stringify(result))
  assert.ok(result.delivered > 0)
})

test('F10 X4 GOAWAY from kube-apiserver: the watch that is open goes on, other calls take a new connection', async () => {
  await using server = await startApiServer({ flags: ['--goaway-chance=0.02'] })
  await using client = new ApiClient(loadKubeConfig({ kubeconfig: await server.kubeconfig() }))
  const stop = new AbortController()
  using cleanup = new DisposableStack()
  cleanup.defer(() => stop.abort())
  const api = recorded(listWatch(client, configMaps, { namespace: 'default' }))
  const failures: unknown[] = []
  const informer = new Informer(api, { scope: 'whole', onError: (fault) => failures.push(fault) })
  informer.start(stop.signal)
  await informer.synced

  const path = '/api/v1/namespaces/default/configmaps'
  let connections = 0
  const connected = () => connections++
  subscribe('undici:client:connected', connected)
  const goneAway = async () => {
    for (let call = 0; call < 100 && connections < 3; call++) await client.get(path, stop.signal)
    return connections >= 3
  }
  await eventually(goneAway, { what: 'the server has sent GOAWAY three times', withinMs: 120_000 })
  unsubscribe('undici:client:connected', connected)

  await server.admin.create(path, { metadata: { name: 'after' } })
  await eventually(() => informer.lister.get('default/after') !== undefined, { what: 'the change has come' })
  assert.deepEqual([api.asked, failures], [['stream'], []])
  stop.abort()
  await informer.stopped()
})
