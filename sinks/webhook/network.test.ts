import assert from 'node:assert/strict'
import type dns from 'node:dns'
import type { LookupAddress } from 'node:dns'
import { test } from 'node:test'
import { NetworkGuard } from './network.ts'

const none = { allow: [], deny: [] }

test('loopback, link-local, unspecified, multicast and metadata addresses are denied, in every spelling', () => {
  const guard = new NetworkGuard(none)
  for (const host of [
    ...[
      '127.0.0.1',
      '127.255.255.254',
      '0.0.0.0',
      '0.1.2.3',
      '169.254.169.254',
      '169.254.0.1',
      '224.0.0.1',
      '239.1.1.1',
    ],
    ...['255.255.255.255', '100.100.100.200', '168.63.129.16', '::', '::1', '[::1]', '[::]', 'fe80::1', 'fe80::1%eth0'],
    ...[
      '[febf::1]',
      'ff02::1',
      'fd00:ec2::254',
      'fd20:ce::254',
      '::ffff:127.0.0.1',
      '::ffff:a9fe:a9fe',
      '[::ffff:7f00:1]',
    ],
    ...['::127.0.0.1', '64:ff9b::169.254.169.254', '64:ff9b::7f00:1'],
  ]) {
    assert.match(guard.refusal(host) ?? '', /is loopback, link-local, multicast or a metadata service/, host)
  }
})

test('URL turns every notation of an IPv4 address into the one that is checked', () => {
  const guard = new NetworkGuard(none)
  for (const url of [
    'http://0x7f.1/',
    'http://2130706433/',
    'http://017700000001/',
    'http://127.1/',
    'http://①②⑦.0.0.1/',
  ]) {
    assert.ok(guard.refusal(new URL(url).hostname), url)
  }
})

test('private and public addresses are permitted, names are left to the lookup', () => {
  const guard = new NetworkGuard(none)
  for (const host of [
    '10.0.0.1',
    '192.168.1.1',
    '172.16.0.1',
    '100.64.0.1',
    '8.8.8.8',
    'fd00::1',
    '2001:db8::1',
    'localhost',
    'receiver.shop.svc',
  ]) {
    assert.equal(guard.refusal(host), undefined, host)
  }
})

test('allow makes exceptions from the default, deny goes before both', () => {
  const guard = new NetworkGuard({ allow: ['127.0.0.0/8', '::1'], deny: ['127.0.0.2', '10.0.0.0/8', '2001:db8::/32'] })
  assert.equal(guard.refusal('127.0.0.1'), undefined)
  assert.equal(guard.refusal('::ffff:127.0.0.1'), undefined)
  assert.equal(guard.refusal('[::1]'), undefined)
  for (const host of ['127.0.0.2', '10.1.2.3', '::ffff:10.1.2.3', '2001:db8::5']) {
    assert.match(guard.refusal(host) ?? '', /is denied by network.deny$/, host)
  }
  assert.ok(guard.refusal('169.254.169.254'))
})

test('what is no CIDR is refused, with the place and the way to write it', () => {
  for (const rule of [
    'localhost',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '10.0.0/8',
    '',
    '1.2.3.4/-1',
    '1.2.3.4/8x',
  ]) {
    assert.throws(() => new NetworkGuard({ allow: [rule], deny: [] }), {
      name: 'RangeError',
      message: /^network.allow: .* write it like/,
    })
  }
})

/** A resolver that knows one name. */
function resolver(...answers: readonly (readonly string[])[]): typeof dns.lookup {
  let turn = 0
  const resolve = (
    _host: string,
    _options: unknown,
    callback: (error: Error | null, found: LookupAddress[]) => void,
  ) => {
    const addresses = answers[turn++] ?? []
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )
  }
  return resolve as typeof dns.lookup
}

function look(guard: NetworkGuard, all: 'all' | 'first'): Promise<unknown> {
  return new Promise((resolve, reject) => {
    guard.lookup('receiver.test', { all: all === 'all' }, (error, address) =>
      error ? reject(error) : resolve(address),
    )
  })
}

test('a name is refused if any of its addresses is denied', async () => {
  const guard = new NetworkGuard(none, resolver(['10.0.0.1', '169.254.169.254'], ['10.0.0.1', '::1']))
  for (const address of ['169.254.169.254', '::1']) {
    await assert.rejects(look(guard, 'all'), (error: Error) =>
      error.message.startsWith(`receiver.test must not be dialled: ${address}`),
    )
  }
})

test('a name that resolves to something else the next time is checked again', async () => {
  const guard = new NetworkGuard(none, resolver(['10.0.0.1'], ['127.0.0.1']))
  assert.deepEqual(await look(guard, 'all'), [{ address: '10.0.0.1', family: 4 }])
  await assert.rejects(look(guard, 'all'), { code: 'unavailable' })
})

test('a lookup answers in the form that the socket asks for', async () => {
  const guard = new NetworkGuard(none, resolver(['10.0.0.1', 'fd00::1'], ['10.0.0.1', 'fd00::1'], []))
  assert.equal(await look(guard, 'first'), '10.0.0.1')
  assert.deepEqual(await look(guard, 'all'), [
    { address: '10.0.0.1', family: 4 },
    { address: 'fd00::1', family: 6 },
  ])
  await assert.rejects(look(guard, 'all'), /receiver.test has no address/)
})
