;; The inner loops of codes.ts. `deno task wasm` compiles this file into scan_wasm.ts.
(module
  (import "env" "memory" (memory 1))

  ;; Counts in how many bits each row differs from the query, into 16-bit numbers at `out`. A block has the bits of 16
  ;; rows: the first byte of each, then the second of each, and so on, so that one instruction counts in 16 rows. After 16
  ;; bytes, the counts are added up in 16 bits, before 8 overflow.
  (func (export "distances")
    (param $query i32) (param $bits i32) (param $blocks i32) (param $bytes i32) (param $out i32)
    (local $byte i32) (local $end i32) (local $counts v128) (local $low v128) (local $high v128)
    (loop $nextBlock
      (local.set $byte (local.get $query))
      (local.set $low (v128.const i64x2 0 0))
      (local.set $high (v128.const i64x2 0 0))
      (loop $nextSixteen
        (local.set $counts (v128.const i64x2 0 0))
        (local.set $end (i32.add (local.get $byte) (i32.const 16)))
        (loop $nextTwo
          (local.set $counts (i8x16.add (local.get $counts)
            (i8x16.popcnt (v128.xor (v128.load (local.get $bits)) (v128.load8_splat (local.get $byte))))))
          (local.set $counts (i8x16.add (local.get $counts)
            (i8x16.popcnt
              (v128.xor (v128.load offset=16 (local.get $bits)) (v128.load8_splat offset=1 (local.get $byte))))))
          (local.set $bits (i32.add (local.get $bits) (i32.const 32)))
          (br_if $nextTwo
            (i32.lt_u (local.tee $byte (i32.add (local.get $byte) (i32.const 2))) (local.get $end))))
        (local.set $low (i16x8.add (local.get $low) (i16x8.extend_low_i8x16_u (local.get $counts))))
        (local.set $high (i16x8.add (local.get $high) (i16x8.extend_high_i8x16_u (local.get $counts))))
        (br_if $nextSixteen (i32.lt_u (local.get $byte) (i32.add (local.get $query) (local.get $bytes)))))
      (v128.store (local.get $out) (local.get $low))
      (v128.store offset=16 (local.get $out) (local.get $high))
      (local.set $out (i32.add (local.get $out) (i32.const 32)))
      (br_if $nextBlock (local.tee $blocks (i32.sub (local.get $blocks) (i32.const 1))))))

  ;; Lists the rows, of blocks of 8, with a distance below the limit, 32-bit numbers at `out`; returns how many.
  (func (export "select")
    (param $distances i32) (param $rows i32) (param $limit i32) (param $out i32) (result i32)
    (local $row i32) (local $mask i32) (local $limits v128) (local $start i32)
    (local.set $limits (i16x8.splat (local.get $limit)))
    (local.set $start (local.get $out))
    (loop $nextEight
      (local.set $mask (i16x8.bitmask (i16x8.lt_u
        (v128.load (i32.add (local.get $distances) (i32.shl (local.get $row) (i32.const 1))))
        (local.get $limits))))
      (block $none
        (loop $nextBit
          (br_if $none (i32.eqz (local.get $mask)))
          (i32.store (local.get $out) (i32.add (local.get $row) (i32.ctz (local.get $mask))))
          (local.set $out (i32.add (local.get $out) (i32.const 4)))
          (local.set $mask (i32.and (local.get $mask) (i32.sub (local.get $mask) (i32.const 1))))
          (br $nextBit)))
      (br_if $nextEight
        (i32.lt_u (local.tee $row (i32.add (local.get $row) (i32.const 8))) (local.get $rows))))
    (i32.shr_u (i32.sub (local.get $out) (local.get $start)) (i32.const 2)))

  ;; The dot products of the query, floats, with the rows in `list`, 16-bit numbers, `bytes` of them a row.
  (func (export "products")
    (param $query i32) (param $codes i32) (param $bytes i32) (param $list i32) (param $length i32) (param $out i32)
    (local $code i32) (local $end i32) (local $at i32) (local $eight v128) (local $low v128) (local $high v128)
    (loop $nextRow
      (local.set $code
        (i32.add (local.get $codes) (i32.mul (i32.load (local.get $list)) (local.get $bytes))))
      (local.set $end (i32.add (local.get $code) (local.get $bytes)))
      (local.set $at (local.get $query))
      (local.set $low (v128.const i64x2 0 0))
      (local.set $high (v128.const i64x2 0 0))
      (loop $nextEight
        (local.set $eight (v128.load (local.get $code)))
        (local.set $low (f32x4.add (local.get $low) (f32x4.mul (v128.load (local.get $at))
          (f32x4.convert_i32x4_s (i32x4.extend_low_i16x8_s (local.get $eight))))))
        (local.set $high (f32x4.add (local.get $high) (f32x4.mul (v128.load offset=16 (local.get $at))
          (f32x4.convert_i32x4_s (i32x4.extend_high_i16x8_s (local.get $eight))))))
        (local.set $at (i32.add (local.get $at) (i32.const 32)))
        (br_if $nextEight
          (i32.lt_u (local.tee $code (i32.add (local.get $code) (i32.const 16))) (local.get $end))))
      (local.set $low (f32x4.add (local.get $low) (local.get $high)))
      (f32.store (local.get $out)
        (f32.add
          (f32.add (f32x4.extract_lane 0 (local.get $low)) (f32x4.extract_lane 1 (local.get $low)))
          (f32.add (f32x4.extract_lane 2 (local.get $low)) (f32x4.extract_lane 3 (local.get $low)))))
      (local.set $out (i32.add (local.get $out) (i32.const 4)))
      (local.set $list (i32.add (local.get $list) (i32.const 4)))
      (br_if $nextRow (local.tee $length (i32.sub (local.get $length) (i32.const 1)))))))
