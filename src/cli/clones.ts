import { resolve } from 'node:path'
import { NodeError } from '../base/errors.ts'
import type { ApiClient } from './client.ts'
import type { Session } from './session.ts'
import { askGit } from './user-git.ts'

/** Where a clone keeps which dataset it is of. */
export const DATASET_KEY = 'mao.dataset'

/** A dataset's address for stock git. */
export function addressOf(client: Pick<ApiClient, 'url'>, dataset: string): string {
  return `${client.url}/git/${encodeURIComponent(dataset)}.git`
}

/**
 * The clone that a directory is in, and the dataset that it is of: as "dataset clone" has noted it, else as the address
 * that it was cloned from says.
 *
 * @throws NodeError INVALID_INPUT when it is no clone of a dataset.
 */
export async function cloneAt(
  session: Session,
  directory: string | undefined,
): Promise<{ readonly path: string; readonly dataset: string }> {
  const at = resolve(directory ?? '.')
  const top = await askGit(session, ['-C', at, 'rev-parse', '--show-toplevel'], { isSilent: true })
  if (top.code !== 0) {
    throw new NodeError('INVALID_INPUT', `${at} is no clone; "maoctl dataset clone NAME" makes one`, {
      directory: at,
    })
  }
  const path = top.text.trimEnd()
  const config = async (key: string) =>
    (await askGit(session, ['-C', path, 'config', '--get', key])).text.trim()
  const dataset = (await config(DATASET_KEY)) || datasetIn(await config('remote.origin.url'))
  if (dataset !== undefined && dataset !== '') return { path, dataset }
  const message = `${path} is no clone of a dataset: its origin is neither mao://… nor http://…/git/NAME.git`
  throw new NodeError('INVALID_INPUT', message, { directory: path })
}

/** The dataset that an address for git names, or undefined. */
export function datasetIn(address: string): string | undefined {
  const url = URL.parse(address)
  if (url?.protocol === 'mao:') return /^\/([^/]+)$/.exec(url.pathname)?.[1]
  return /\/git\/([^/]+)\.git\/?$/.exec(url?.pathname ?? '')?.[1]
}
