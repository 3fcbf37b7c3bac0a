import { isIP } from 'node:net'

/** Where a server listens. `host` undefined: all addresses, IPv4 and IPv6. `port` 0: a free one. */
export interface ListenAddress {
  readonly host: string | undefined
  readonly port: number
}

/** `localhost`, 127.0.0.0/8 and ::1: what a machine keeps to itself. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host)
}

/** Parses `:8080`, `127.0.0.1:8080`, `[::1]:8080`, `localhost:0`. Throws a RangeError that says how to write it. */
export function parseListenAddress(text: string): ListenAddress {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]*)):(\d{1,5})$/.exec(text)
  const [, bracketed, name, digits] = match ?? []
  const port = Number(digits)
  if (!match || port > 65_535 || (bracketed !== undefined && isIP(bracketed) !== 6)) {
    throw new RangeError('not an address to listen on: write :8080, 127.0.0.1:8080 or [::1]:8080')
  }
  return { host: bracketed ?? (name || undefined), port }
}
