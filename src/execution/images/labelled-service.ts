/**
 * What a record says of a service counts only where the image says it too. Records are written by any member, and where
 * something is mounted decides what a program is: whoever may choose that, runs what they like in an image that others
 * trust or approved.
 */
import { isDeepStrictEqual } from 'node:util'
import { isNodeError, NodeError } from '../../base/errors.ts'
import type { StoredImage } from './image-store.ts'
import { parseServiceLabels, type Service, type ServiceDescription } from './service.ts'

/**
 * The service that a tool is, by the labels of the image that is about to run. Undefined for a tool that is none.
 *
 * @throws NodeError FORBIDDEN where the tool's record says otherwise.
 */
export function labelledService(
  tool: { readonly name: string; readonly image: string; readonly service?: Service | undefined },
  { labels, digest }: Pick<StoredImage, 'labels' | 'digest'>,
): ServiceDescription | undefined {
  if (tool.service === undefined) return undefined
  const { digest: _, ...said } = tool.service
  const message = `The record of the tool ${tool.name} does not say what the labels of its image (${digest}) say of its inputs and outputs, and is not believed; register it anew with "maoctl tool add ${tool.name} --service ${tool.image}"`
  const refusal = (cause?: unknown) => {
    return new NodeError('FORBIDDEN', message, { tool: tool.name, image: tool.image, digest }, { cause })
  }
  let described: ServiceDescription
  try {
    described = parseServiceLabels(labels)
  } catch (error) {
    if (!isNodeError(error, 'INVALID_INPUT')) throw error
    throw refusal(error)
  }
  if (isDeepStrictEqual(plain(described), plain(said))) return described
  throw refusal()
}

/** Without fields that are there and say nothing. */
function plain(value: ServiceDescription): unknown {
  return JSON.parse(JSON.stringify(value))
}
