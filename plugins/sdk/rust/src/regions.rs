//! The four regions, and what the exports do with them. All unsafe code of a policy is in here.
use core::cell::UnsafeCell;
use core::mem::{align_of, size_of};

use crate::abi::{self, Intent, Path, Table};
use crate::{Policy, View};

#[repr(C, align(8))]
struct Room<const SIZE: usize>(UnsafeCell<[u8; SIZE]>);

// Safety: a module has one thread, and the host calls one export at a time.
unsafe impl<const SIZE: usize> Sync for Room<SIZE> {}

impl<const SIZE: usize> Room<SIZE> {
    const fn new() -> Self {
        Room(UnsafeCell::new([0; SIZE]))
    }

    /// Its address if it has so much room, else 0.
    fn address(&self, size: i32) -> i32 {
        if usize::try_from(size).is_ok_and(|size| size <= SIZE) {
            self.0.get() as usize as i32
        } else {
            0
        }
    }
}

// Room for records of twice today's size: a later minor version may give longer ones.
const TABLE_ROOM: usize = 128 + abi::PATH_MAX as usize * 128;
static CONFIG: Room<{ abi::SETTING_MAX as usize * 8 }> = Room::new();
static TABLE: Room<TABLE_ROOM> = Room::new();
static INTENT: Room<128> = Room::new();
static STATE: Room<{ abi::STATE_SIZE_MAX as usize }> = Room::new();
static SETTINGS: Room<8> = Room::new();

/// The state region: whose it is, then the policy itself.
#[repr(C)]
struct Saved<P> {
    tag: u32,
    size: u32,
    policy: P,
}

fn saved<P: Policy>() -> *mut Saved<P> {
    const { assert!(size_of::<Saved<P>>() <= abi::STATE_SIZE_MAX as usize && align_of::<P>() <= 8) };
    STATE.0.get().cast()
}

/// Export of the ABI: where a region is.
pub fn region(kind: i32, size: i32) -> i32 {
    match kind {
        abi::region::CONFIG => CONFIG.address(size),
        abi::region::TABLE => TABLE.address(size),
        abi::region::INTENT => INTENT.address(size),
        abi::region::STATE => STATE.address(size),
        _ => 0,
    }
}

/// Export of the ABI.
pub fn init<P: Policy>(config_length: i32) -> i32 {
    let count = (config_length / 8).clamp(0, abi::SETTING_MAX as i32);
    // Safety: both are ours, aligned and large enough, and nothing else refers to them now.
    unsafe {
        *SETTINGS.0.get().cast::<i32>() = count;
        (*saved::<P>()).policy = P::START;
    }
    abi::status::OK
}

fn view() -> View {
    // Safety: the host has written the table and the settings before the call, and init() has counted the settings.
    unsafe {
        let count = *SETTINGS.0.get().cast::<i32>() as usize;
        let settings = core::slice::from_raw_parts(CONFIG.0.get().cast::<i64>().cast_const(), count);
        View { table: TABLE.0.get().cast_const().cast(), settings }
    }
}

/// Path record `index`. Records may be longer than we know.
pub(crate) fn path<'a>(view: &'a View, index: usize) -> Option<&'a Path> {
    let Table { header_size, path_size, .. } = *view.table();
    let offset = usize::from(header_size) + index * usize::from(path_size);
    if offset % 8 != 0 || offset + size_of::<Path>() > TABLE_ROOM {
        return None;
    }
    // Safety: within the region, aligned, and nobody writes to it while a call lasts.
    Some(unsafe { &*TABLE.0.get().cast::<u8>().add(offset).cast::<Path>() })
}

/// Export of the ABI.
pub fn decide<P: Policy>() -> i32 {
    // Safety: the intent and the state are in regions of their own; nothing else refers to them during the call.
    let (intent, state) = unsafe { (&mut *INTENT.0.get().cast::<Intent>(), &mut (*saved::<P>()).policy) };
    intent.abi = abi::ABI;
    state.decide(&view(), intent).err().unwrap_or(abi::status::OK)
}

/// Export of the ABI.
pub fn save<P: Policy>() -> i32 {
    // Safety: as in init().
    unsafe {
        (*saved::<P>()).tag = P::TAG;
        (*saved::<P>()).size = size_of::<P>() as u32;
    }
    size_of::<Saved<P>>() as i32
}

/// Export of the ABI: what another policy or layout left is dropped.
pub fn load<P: Policy>(length: i32) -> i32 {
    // Safety: as in init(). `P` is plain data of this very layout if the tag is ours.
    unsafe {
        let state = saved::<P>();
        let ours = (*state).tag == P::TAG && (*state).size as usize == size_of::<P>();
        if !ours || length as usize != size_of::<Saved<P>>() {
            (*state).policy = P::START;
        }
    }
    abi::status::OK
}

/// Makes the module's exports for a [`Policy`].
#[macro_export]
macro_rules! export_policy {
    ($policy:ty) => {
        #[no_mangle]
        pub extern "C" fn shunt_policy_abi_1() -> i32 {
            i32::from($crate::abi::ABI & 0xff)
        }
        #[no_mangle]
        pub extern "C" fn region(kind: i32, size: i32) -> i32 {
            $crate::regions::region(kind, size)
        }
        #[no_mangle]
        pub extern "C" fn init(config_length: i32) -> i32 {
            $crate::regions::init::<$policy>(config_length)
        }
        #[no_mangle]
        pub extern "C" fn decide() -> i32 {
            $crate::regions::decide::<$policy>()
        }
        #[no_mangle]
        pub extern "C" fn save() -> i32 {
            $crate::regions::save::<$policy>()
        }
        #[no_mangle]
        pub extern "C" fn load(length: i32) -> i32 {
            $crate::regions::load::<$policy>(length)
        }
    };
}
