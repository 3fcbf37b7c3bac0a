import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseListenAddress } from './listen-address.ts'

test('an address to listen on is a host, or none for all of them, and a port', () => {
  const cases: [string, string | undefined, number][] = [
    [':8080', undefined, 8080],
    [':0', undefined, 0],
    ['127.0.0.1:9090', '127.0.0.1', 9090],
    ['localhost:0', 'localhost', 0],
    ['[::1]:65535', '::1', 65_535],
    ['[::]:80', '::', 80],
  ]
  for (const [text, host, port] of cases) assert.deepEqual(parseListenAddress(text), { host, port }, text)
})

test('what is no address to listen on is refused with the way to write it', () => {
  for (const text of ['', '8080', ':', 'localhost', ':65536', '::1:80', '[::g]:80', '[127.0.0.1]:80', 'a b:1', ':-1']) {
    assert.throws(() => parseListenAddress(text), {
      name: 'RangeError',
      message: 'not an address to listen on: write :8080, 127.0.0.1:8080 or [::1]:8080',
    })
  }
})
