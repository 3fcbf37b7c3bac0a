import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type KubeObject, keyOf } from '../kube/object.ts'
import { everything } from '../lib/label-selector.ts'
import { byNamespace, NAMESPACE_INDEX, Store } from './indexer.ts'
import { listerOf } from './lister.ts'
import { pod } from './test-kit.ts'

const noFault = (index: string, _key: string, error: unknown) => assert.fail(`${index}: ${error}`)

function storeOf(...objects: readonly KubeObject[]): Store<KubeObject> {
  const store = new Store<KubeObject>(noFault)
  for (const object of objects) store.put(keyOf(object.metadata), object)
  return store
}

const byUsers = ({ metadata }: KubeObject) => metadata.labels?.users?.split('_') ?? []
const names = (objects: readonly KubeObject[]) => objects.map(({ metadata }) => metadata.name).sort()

const one = pod('one', 1, { labels: { users: 'ernie_bert' } })
const two = pod('two', 2, { labels: { users: 'bert_oscar' } })
const three = pod('three', 3, { labels: { users: 'ernie_elmo' } })

test('C64 an index of several values per object follows add, update and delete', () => {
  const store = storeOf(one, two, three)
  store.addIndexers({ users: byUsers })
  const users = () =>
    Object.fromEntries(['ernie', 'bert', 'elmo', 'oscar'].map((u) => [u, names(store.byIndex('users', u))]))
  assert.deepEqual(users(), { ernie: ['one', 'three'], bert: ['one', 'two'], elmo: ['three'], oscar: ['two'] })
  store.put(keyOf(two.metadata), pod('two', 4, { labels: { users: 'elmo_bert' } }))
  assert.deepEqual(users(), { ernie: ['one', 'three'], bert: ['one', 'two'], elmo: ['three', 'two'], oscar: [] })
  store.delete(keyOf(one.metadata))
  assert.deepEqual(users(), { ernie: ['three'], bert: ['two'], elmo: ['three', 'two'], oscar: [] })
  store.put(keyOf(one.metadata), one)
  assert.deepEqual(users(), { ernie: ['one', 'three'], bert: ['one', 'two'], elmo: ['three', 'two'], oscar: [] })
})

test('C65 the last object of a value takes the value with it, and its neighbours stay', () => {
  const store = storeOf()
  store.addIndexers({ users: byUsers })
  for (let round = 0; round < 3; round++) {
    store.put(keyOf(one.metadata), one)
    store.put(keyOf(two.metadata), two)
    store.delete(keyOf(one.metadata))
    assert.deepEqual(store.valuesOf('users'), ['bert', 'oscar'])
    store.delete(keyOf(two.metadata))
    assert.deepEqual(store.valuesOf('users'), [])
  }
})

test('indices can be added to a filled store; a taken name is refused, and nothing of that call is added', () => {
  const store = storeOf(one, two)
  store.addIndexers({ users: byUsers })
  assert.throws(() => store.addIndexers({ other: byUsers, users: byUsers }), {
    message: 'there is already an index named "users"',
  })
  assert.throws(() => store.byIndex('other', 'x'), /there is no index named "other".*users/)
})

test('an index function that throws is reported; the object is in the store and in the other indices', () => {
  const faults: string[] = []
  const store = new Store<KubeObject>((index, key, error) => faults.push(`${index} ${key} ${error}`))
  store.addIndexers({
    users: byUsers,
    broken() {
      throw new Error('no')
    },
  })
  store.put(keyOf(one.metadata), one)
  assert.deepEqual(faults, ['broken one Error: no'])
  assert.deepEqual(names(store.byIndex('users', 'bert')), ['one'])
  assert.deepEqual(store.byIndex('broken', 'x'), [])
})

test('an iterator of the objects survives changes of the store', () => {
  const store = storeOf(one, two)
  const objects = store.objects()
  assert.equal(objects.next().value, one)
  store.delete(keyOf(two.metadata))
  store.put(keyOf(three.metadata), three)
  assert.deepEqual([...objects], [three])
})

test('the lister gets by key, lists by selector, and goes into a namespace by index', () => {
  const web = pod('shop/web', 1, { labels: { app: 'web' } })
  const db = pod('shop/db', 2, { labels: { app: 'db' } })
  const other = pod('bank/web', 3, { labels: { app: 'web' } })
  const node = pod('node-7', 4)
  const store = storeOf(web, db, other, node)
  store.addIndexers({ [NAMESPACE_INDEX]: byNamespace })
  const lister = listerOf(store)
  assert.equal(lister.get('shop/web'), web)
  assert.equal(lister.get('node-7'), node)
  assert.equal(lister.get('shop/none'), undefined)
  assert.deepEqual(lister.list('app=web'), [web, other])
  assert.deepEqual(lister.list(), [web, db, other, node])
  assert.deepEqual(lister.list(everything()), [web, db, other, node])
  const shop = lister.namespace('shop')
  assert.equal(shop.get('db'), db)
  assert.deepEqual(shop.list('app!=web'), [db])
  assert.deepEqual(shop.namespace('bank').list(), [other])
})
