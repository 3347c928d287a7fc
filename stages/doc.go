// Package stages is the pipeline from raw files to committed shards: plan, read, measure, gate,
// transform, commit.
//
// The unit of everything is the shard task, a contiguous range of the input listing. MakePlan fixes the
// tasks and all that decides their bytes: the listing, the configuration, and pins (which decoder,
// which ffmpeg, which architecture). Runner does tasks; each is committed under its content's hash and
// then named by a row that is linked into place, so that of several attempts the first wins. Finalize
// trusts the files alone: it verifies every hash and writes the manifest, or says what is missing. A
// crash loses at most the tasks in flight, and nothing else in the program knows how to recover.
//
// What becomes of a sample is decided by the senses, one for each modality, in the registry of
// senses.go: plain functions that never count, log, time or retry. The runner does that around them.
// How files are decoded is internal/media's business, the arithmetic mel's, bpe's and vision's, the
// rules filters', and the bytes on disk are shards'.
package stages
