/**
 * Which scope a route asks for: one table over the routes' own templates (never over the path that was asked for, whose
 * spellings are many), the first line that fits counts, and what stands in no line is for admins alone.
 */
import type { Scope } from '../identity/scopes.ts'

type Methods = 'GET' | 'ANY'

interface Line {
  readonly methods: Methods
  /** What the template begins with, up to its end or a slash. */
  readonly under: string
  readonly scope: Scope
}

const line = (methods: Methods, under: string, scope: Scope): Line => ({ methods, under, scope })

const API = '/api/v1'

const TABLE: readonly Line[] = [
  // What the node's owner alone decides: who gets in.
  line('ANY', `${API}/tokens`, 'admin'),
  line('ANY', `${API}/identity`, 'admin'),

  // What is said for the node, and consents to what others wrote.
  line('ANY', `${API}/secrets`, 'operator'),
  line('ANY', `${API}/pipelines/:name/approve`, 'operator'),
  line('ANY', `${API}/pipelines/:name/revoke`, 'operator'),
  line('ANY', `${API}/tools/:name/accept-image`, 'operator'),
  line('ANY', `${API}/datasets/:name/trusted`, 'operator'),
  line('ANY', `${API}/datasets/:name/access`, 'operator'),
  line('ANY', `${API}/datasets/:name/reset`, 'operator'),
  line('ANY', `${API}/datasets/:name/gc`, 'operator'),
  line('GET', `${API}/datasets/:name/upstream`, 'member'),
  line('ANY', `${API}/datasets/:name/upstream/pull`, 'member'),
  line('ANY', `${API}/datasets/:name/upstream`, 'operator'),
  line('ANY', `${API}/upstream-key`, 'operator'),
  line('ANY', `${API}/images/logins`, 'operator'),
  line('ANY', `${API}/images/gc`, 'operator'),
  line('ANY', `${API}/publishers/keys`, 'operator'),
  line('ANY', `${API}/notifications/receivers`, 'operator'),

  // Contents: data, results, logs, and the registry with what is local to the node.
  line('GET', `${API}/datasets/:name/files`, 'member'),
  line('GET', `${API}/datasets/:name/archive`, 'member'),
  line('GET', `${API}/datasets/:name/diff`, 'member'),
  // Names of files, words of commits, places on the disk.
  line('GET', `${API}/datasets/:name/tree`, 'member'),
  line('GET', `${API}/datasets/:name/log`, 'member'),
  line('GET', `${API}/datasets/:name/truth`, 'member'),
  line('GET', `${API}/rounds/:dataset/:step/:slot/report`, 'member'),
  line('ANY', `${API}/datasets/:name/audits`, 'member'),
  line('GET', `${API}/local-datasets`, 'member'),
  line('GET', `${API}/runs/:id/comparison`, 'member'),
  line('GET', `${API}/runs/:id/files`, 'member'),
  line('GET', `${API}/runs/:id/archive`, 'member'),
  line('GET', `${API}/runs/:id/logs`, 'member'),
  line('GET', `${API}/runs/:id/crate`, 'member'),
  line('GET', `${API}/runs/:id/prov`, 'member'),
  line('GET', `${API}/remote-runs/:id/logs`, 'member'),
  line('GET', `${API}/builds/:id/log`, 'member'),
  line('GET', `${API}/registry/digest`, 'observer'),
  line('GET', `${API}/registry`, 'member'),
  line('GET', `${API}/events`, 'member'),
  // Words and addresses of people, and tokens that are still good.
  line('GET', `${API}/federation/requests`, 'operator'),
  line('GET', `${API}/federation/invitations`, 'operator'),
  line('ANY', '/git', 'member'),

  // How things are.
  ...[
    'builds',
    'datasets',
    'doctor',
    'engines',
    'federation',
    'images',
    'insights',
    'market',
    'notifications',
    'offers',
    'openapi.json',
    'peers',
    'pipelines',
    'presence',
    'publications',
    'publishers',
    'queue',
    'reliability',
    'remote-runs',
    'rounds',
    'runs',
    'schedules',
    'status',
    'tools',
  ].map((noun) => line('GET', `${API}/${noun}`, 'observer')),
  line('GET', '/metrics', 'observer'),
  line('GET', '/hub/api', 'observer'),
  line('GET', `${API}/docs`, 'observer'),

  // The everyday work. Of names that other members claim, see claim-rights.ts.
  line('ANY', `${API}/images/inspect`, 'member'),
  ...['builds', 'pipelines', 'remote-runs', 'rounds', 'runs', 'schedules', 'tools'].map((noun) =>
    line('ANY', `${API}/${noun}`, 'member'),
  ),
  ...[':name/commits', ':name/fetch', ':name/follow', ':name/unfollow', ':name/verify'].map((work) =>
    line('ANY', `${API}/datasets/${work}`, 'member'),
  ),

  // What changes the node or speaks for it to others.
  ...['datasets', 'federation', 'local-datasets', 'market', 'notifications', 'publications', 'registry'].map(
    (noun) => line('ANY', `${API}/${noun}`, 'operator'),
  ),

  // The predecessor's routes, each as the one of ours that does the same.
  ...['/', '/registry', '/pipeline', '/jobs'].map((path) => line('GET', path, 'observer')),
  ...['/registry/tools', '/pipeline', '/jobs', '/write', '/read', '/inspect'].map((path) =>
    line('ANY', path, 'member'),
  ),
  ...['/registry/datasets', '/bare-repo'].map((path) => line('ANY', path, 'operator')),
]

const DEFAULT: Scope = 'admin'

/** The least scope that opens a route of this template. Pure. */
export function scopeOf(method: string, template: string): Scope {
  return lineOf(method, template)?.scope ?? DEFAULT
}

/** Whether somebody has thought about the route. */
export function isListed(method: string, template: string): boolean {
  return lineOf(method, template) !== undefined
}

function lineOf(method: string, template: string): Line | undefined {
  const isReading = method === 'GET' || method === 'HEAD'
  return TABLE.find(({ methods, under }) => {
    if (methods === 'GET' && !isReading) return false
    return template === under || template.startsWith(`${under}/`)
  })
}
