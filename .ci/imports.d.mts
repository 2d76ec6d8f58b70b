import type { Plugin } from "esbuild"

export declare const importByPath: (code: string) => string

export declare const importsByPath: Plugin
