//! Reads numbers off the wire; never past the end.

/// The bytes end too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short;

/// A place in a frame.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    data: &'a [u8],
    at: usize,
    /// How many bytes were promised beyond the end of `data`.
    missing: usize,
}

impl<'a> Reader<'a> {
    /// At a place.
    pub fn new(data: &'a [u8], at: usize) -> Self {
        Self { data, at: at.min(data.len()), missing: 0 }
    }

    /// Where it is.
    pub fn at(&self) -> usize {
        self.at
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.data.get(self.at..).unwrap_or_default()
    }

    /// What is left on the wire, also where the capture cut it off.
    pub fn promised(&self) -> usize {
        self.rest().len() + self.missing
    }

    /// Moves the end forward to where a length field says it is.
    pub fn end_at(&mut self, end: usize) {
        if end <= self.data.len() {
            self.data = &self.data[..end.max(self.at)];
        } else {
            self.missing = end - self.data.len();
        }
    }

    /// Moves on.
    pub fn skip_to(&mut self, at: usize) -> Result<(), Short> {
        if at < self.at || at > self.data.len() {
            return Err(Short);
        }
        self.at = at;
        Ok(())
    }

    /// So many bytes.
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], Short> {
        let end = self.at.checked_add(n).ok_or(Short)?;
        let bytes = self.data.get(self.at..end).ok_or(Short)?;
        self.at = end;
        Ok(bytes)
    }

    /// So many bytes, as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        self.bytes(N)?.try_into().map_err(|_| Short)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Short> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Result<u16, Short> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, Short> {
        Ok(u32::from_be_bytes(self.array()?))
    }
}
