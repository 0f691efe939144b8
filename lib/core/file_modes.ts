/** Modes of the files and folders that Parley makes. They hold what users said, so only its own user may read them. */
export const FILE_MODE = 0o600;
export const FOLDER_MODE = 0o700;
