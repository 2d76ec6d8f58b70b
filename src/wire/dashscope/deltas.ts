/**
 * What each event of a stream adds. Servers that pass over `incremental_output` repeat all that was said so far in every
 * event, and nothing in the events says which way it is: it shows in whether a piece begins with what was said before it.
 */

/** What an event tells beside its pieces. */
export interface Evidence {
  /** Whether more tokens have been written than at the event before; unknown where nobody counts. */
  readonly advanced: boolean | undefined
  /** Whether the model has stopped. */
  readonly last: boolean
  /** Whether no other channel says anything in the same event. Who says only what is new speaks of one thing at a time. */
  readonly alone: boolean
}

interface Channel {
  said: string
  /** A piece that may go on with what was said, or repeat it and say more. The next one tells. */
  held: string | undefined
}

/** A piece that begins with so much of what was said repeats it: by chance this does not happen. */
const certain = 8

export const pieceReader = () => {
  let mode: "unknown" | "incremental" | "cumulative" = "unknown"
  const channels = new Map<string, Channel>()

  const beyond = (whole: string, said: string): string =>
    whole.startsWith(said) ? whole.slice(said.length) : said.startsWith(whole) ? "" : whole

  /** What a held piece says, now that it is known or to be guessed which way it is. */
  const release = (channel: Channel): string => {
    const held = channel.held ?? ""
    channel.held = undefined
    if (held === "") return ""
    const added = mode === "incremental" ? held : beyond(held, channel.said)
    channel.said += added
    return added
  }

  /**
   * Finds out which way it is, or says what the piece adds where that stays open. A server that repeats has no empty pieces
   * once something was said, and counts no more tokens where it says no more.
   */
  const decide = (channel: Channel, piece: string, { advanced, alone, last }: Evidence): string | undefined => {
    const { held, said } = channel
    const goesOn = advanced ?? !last
    if (held !== undefined) {
      const repeats = piece !== "" && piece.startsWith(held) && !(piece === said && goesOn)
      mode = repeats ? "cumulative" : "incremental"
    } else if (piece === "" || (piece === said && alone && (last || !goesOn))) {
      return ""
    } else if (!piece.startsWith(said)) {
      mode = "incremental"
    } else if (!alone || (said.length >= certain && piece !== said)) {
      mode = "cumulative"
    } else {
      channel.held = piece
      return ""
    }
    return undefined
  }

  return {
    /** What the piece adds to its channel. */
    read: (name: string, piece: string, evidence: Evidence): string => {
      const channel = channels.get(name) ?? { said: "", held: undefined }
      channels.set(name, channel)
      if (mode === "unknown" && channel.said !== "") {
        const decided = decide(channel, piece, evidence)
        if (decided !== undefined) return decided
      }
      const before = mode === "unknown" ? "" : release(channel)
      const added = mode === "cumulative" ? beyond(piece, channel.said) : piece
      channel.said += added
      return before + added
    },
    /** Nothing more comes: what is still held, by channel. Two pieces of which the second begins with the first repeat. */
    rest: (): ReadonlyArray<readonly [name: string, text: string]> =>
      [...channels].flatMap(([name, channel]) => {
        const text = release(channel)
        return text === "" ? [] : [[name, text] as const]
      })
  }
}
