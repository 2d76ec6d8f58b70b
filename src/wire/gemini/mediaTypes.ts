/** The media types that Gemini supports ("Image understanding", "Audio understanding" …), by file extension. */
const mediaTypes: Readonly<Record<string, string>> = {
  aac: "audio/aac",
  aiff: "audio/aiff",
  csv: "text/csv",
  flac: "audio/flac",
  gif: "image/gif",
  heic: "image/heic",
  heif: "image/heif",
  htm: "text/html",
  html: "text/html",
  jpeg: "image/jpeg",
  jpg: "image/jpeg",
  md: "text/markdown",
  mov: "video/quicktime",
  mp3: "audio/mpeg",
  mp4: "video/mp4",
  ogg: "audio/ogg",
  pdf: "application/pdf",
  png: "image/png",
  txt: "text/plain",
  wav: "audio/wav",
  webm: "video/webm",
  webp: "image/webp",
  xml: "text/xml"
}

/** The media type of a file by its name or URL. */
export const mediaTypeOf = (name: string): string | undefined =>
  mediaTypes[/\.([a-z0-9]+)$/i.exec(name.split(/[?#]/)[0] ?? "")?.[1]?.toLowerCase() ?? ""]
