import type { Service } from './strict-service.ts'

/** What a service at this URL answers to the same request. */
export function forwardTo(url: string): Service {
  return async ({ headers, body }) => {
    const sent = ['authorization', 'content-type', 'x-amz-date', 'x-amz-target'] as const
    const response = await fetch(url, {
      method: 'POST',
      headers: sent.map((name): [string, string] => [name, headers[name] ?? '']),
      body,
    })
    return { status: response.status, body: await response.text() }
  }
}
