/** Bounds the bytes of request bodies that the gateway holds at one time, in sum and for each client key. */
import * as HttpErrors from "./error.js"

/** The bytes that one request holds. */
export interface BodyAccount {
  /** Why a body of this declared length cannot begin to arrive now; undefined if it can. Reserves nothing. */
  readonly refusal: (length: number) => HttpErrors.HttpError | undefined
  /** Adds bytes that have arrived. Adds nothing and returns the error where they would exceed a bound. */
  readonly add: (bytes: number) => HttpErrors.HttpError | undefined
  /** Gives all bytes back. Later calls have no effect. */
  readonly release: () => void
  /** Sets what runs at the release, which ends the reading of the body. */
  readonly onRelease: (listener: () => void) => void
}

/** Both bounds are bytes. */
export interface Bounds {
  readonly total: number
  readonly perKey: number
}

export interface BodyAccounts {
  /** Makes the account of one request. An empty id is that of an open gateway, which has only the bound of the sum. */
  readonly make: (callerId: string) => BodyAccount
  /** The bytes that all requests hold. */
  readonly held: () => number
}

/**
 * Bytes are counted as they arrive, not when a client declares them: a client that declares a large body and sends nothing takes no room
 * from others. Bodies that arrive together can therefore exceed a bound only when they are underway; one of them is then refused and
 * gives its bytes back, so that the others can arrive.
 */
export const make = ({ perKey, total }: Bounds): BodyAccounts => {
  let held = 0
  const heldByKey = new Map<string, number>()

  const refusalOf = (callerId: string, bytes: number): HttpErrors.HttpError | undefined => {
    if (callerId !== "" && (heldByKey.get(callerId) ?? 0) + bytes > perKey) return HttpErrors.keyBodiesFull(perKey)
    return held + bytes > total ? HttpErrors.bodiesFull : undefined
  }

  return {
    make: (callerId) => {
      let own = 0
      let isReleased = false
      let released: (() => void) | undefined
      const refusal = (length: number): HttpErrors.HttpError | undefined => refusalOf(callerId, length)
      return {
        refusal,
        add: (bytes) => {
          if (isReleased) return undefined
          const error = refusal(bytes)
          if (error !== undefined) return error
          own += bytes
          held += bytes
          heldByKey.set(callerId, (heldByKey.get(callerId) ?? 0) + bytes)
          return undefined
        },
        release: () => {
          if (isReleased) return
          isReleased = true
          released?.()
          held -= own
          const left = (heldByKey.get(callerId) ?? 0) - own
          if (left > 0) heldByKey.set(callerId, left)
          else heldByKey.delete(callerId)
        },
        onRelease: (listener) => {
          released = listener
        }
      }
    },
    held: () => held
  }
}
