/**
 * Loaded into a process before anything else (`--import`): what the system's resolver says of the names in
 * `TEST_NAMES=a,b`. They are on loopback, but while the file `TEST_NAMES_FAIL` is there: then nobody answers.
 */
import dns, { type LookupOptions } from 'node:dns'
import { existsSync } from 'node:fs'

const names = new Set((process.env.TEST_NAMES ?? '').split(','))
const failing = process.env.TEST_NAMES_FAIL ?? ''
const { lookup } = dns

type Answered = (
  error: NodeJS.ErrnoException | null,
  address?: string | readonly { readonly address: string; readonly family: number }[],
  family?: number,
) => void

Object.assign(dns, {
  lookup(name: string, options: LookupOptions, answered: Answered) {
    if (!names.has(name)) {
      lookup(name, options, answered)
      return
    }
    const error = Object.assign(new Error(`getaddrinfo EAI_AGAIN ${name}`), {
      ...{ code: 'EAI_AGAIN', syscall: 'getaddrinfo', hostname: name },
    })
    process.nextTick(() => {
      if (existsSync(failing)) answered(error)
      else if (options.all) answered(null, [{ address: '127.0.0.1', family: 4 }])
      else answered(null, '127.0.0.1', 4)
    })
  },
})
