/** What execution knows of images, in the order in which one part needs another. Nothing is started here. */
import type { Clock } from '../../base/clock.ts'
import type { Database } from '../../base/database.ts'
import type { SealedValues } from '../secrets/sealed-values.ts'
import { BroughtImages } from './brought-images.ts'
import { ImagePins } from './image-pins.ts'
import { parseImageRule } from './image-rules.ts'
import { Images } from './images.ts'
import { RegistryLogins } from './registry-logins.ts'
import type { ImagesSettings } from './settings.ts'

export interface ImageRoomsParts {
  readonly database: Database
  readonly sealed: SealedValues
  readonly settings: { readonly images: ImagesSettings }
  /** The digest that the record of a tool itself demands. */
  readonly digestOf: (tool: string) => string | undefined
  readonly clock: Clock
}

export type ImageRooms = ReturnType<typeof imageRooms>

export function imageRooms(parts: ImageRoomsParts) {
  const { database, sealed, settings, digestOf, clock } = parts
  const pins = new ImagePins({ database })
  const logins = new RegistryLogins({ sealed })
  const brought = new BroughtImages({ database })
  const rules = settings.images.allow.map(parseImageRule)
  const images = new Images({ pins, logins, brought, settings: settings.images, rules, digestOf, clock })
  return { pins, logins, brought, images }
}
