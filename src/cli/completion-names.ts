import { z } from 'zod'
import { completionNamesMax } from '../base/limits.ts'
import type { Kind } from './completion-words.ts'
import { profilesFileOf } from './destination.ts'
import { readProfiles } from './profiles.ts'
import type { Session } from './session.ts'

/** Where the names of a kind stand, and in which field. Only what is asked for here is looked at in an answer. */
export const SOURCES: Readonly<
  Record<Exclude<Kind, 'profile'>, { readonly path: string; readonly field: string }>
> = {
  dataset: { path: '/datasets', field: 'name' },
  pipeline: { path: '/pipelines', field: 'name' },
  tool: { path: '/tools', field: 'name' },
  run: { path: '/runs', field: 'id' },
  member: { path: '/federation/members', field: 'name' },
  listing: { path: '/market', field: 'name' },
  schedule: { path: '/schedules', field: 'pipeline' },
  round: { path: '/rounds', field: 'id' },
  engine: { path: '/engines', field: 'id' },
  build: { path: '/builds', field: 'id' },
  publication: { path: '/publications', field: 'id' },
  secret: { path: '/secrets', field: 'variable' },
  request: { path: '/federation/requests', field: 'name' },
  invitation: { path: '/federation/invitations', field: 'id' },
  token: { path: '/tokens', field: 'name' },
  delivery: { path: '/notifications/deliveries', field: 'id' },
}

/** What no shell reads as anything but a word: bash puts names on the line as they are, and a node may say anything. */
const HARMLESS = /^[A-Za-z0-9][A-Za-z0-9._:@/+-]{0,199}$/

const listSchema = z.array(z.record(z.string(), z.unknown()))

/**
 * The names of one kind that the node of this command line knows.
 *
 * @throws NodeError, or the signal's reason.
 */
export async function namesOf(session: Session, kind: Kind, signal: AbortSignal): Promise<string[]> {
  if (kind === 'profile') {
    const { profiles } = await readProfiles(profilesFileOf(session.terminal.environment))
    return Object.keys(profiles).filter((name) => HARMLESS.test(name))
  }
  const { path, field } = SOURCES[kind]
  const client = await session.connect(signal)
  const list = await client.get(path, listSchema, {}, { signal })
  const names = list.map((each) => each[field]).filter((name) => typeof name === 'string')
  return [...new Set(names.filter((name) => HARMLESS.test(name)))].slice(0, completionNamesMax)
}
