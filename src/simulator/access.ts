import type { IncomingMessage } from 'node:http'
import type { ResourceRequest } from './request.ts'
import { forbidden, unauthorized } from './status.ts'

/** Somebody who may call, and what for. */
export interface User {
  readonly name: string
  allows(request: ResourceRequest): boolean
}

/** Bearer tokens and whom they belong to. Without any the server is open to everybody. */
export type Users = ReadonlyMap<string, User>

/** Who calls; undefined on an open server. Throws the 401. */
export function authenticate({ headers }: IncomingMessage, users: Users): User | undefined {
  if (users.size === 0) return undefined
  const user = users.get(/^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1] ?? '')
  if (!user) throw unauthorized()
  return user
}

/** Throws the 403 if the user lacks the right. */
export function authorize(request: ResourceRequest, user: User | undefined): void {
  if (!user || user.allows(request)) return
  const { verb, group, resource, subresource, namespace, name } = request
  const what = subresource ? `${resource}/${subresource}` : resource
  const where = namespace ? `in the namespace ${JSON.stringify(namespace)}` : 'at the cluster scope'
  const why = `User ${JSON.stringify(user.name)} cannot ${verb} resource ${JSON.stringify(what)} in API group ${JSON.stringify(group)} ${where}`
  throw forbidden({ group, resource }, name, why)
}
