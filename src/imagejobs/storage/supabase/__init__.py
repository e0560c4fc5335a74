"""Supabase Storage over its REST interface."""

from imagejobs.storage.supabase.adapter import SupabaseStorage
from imagejobs.storage.supabase.bucket import SupabaseBucket
from imagejobs.storage.supabase.rest import Project

__all__ = ["Project", "SupabaseBucket", "SupabaseStorage"]
