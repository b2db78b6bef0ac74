using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using System.Security.AccessControl;
using System.Security.Principal;
using Microsoft.Win32.SafeHandles;

namespace LightTunnel.Diagnostics;

/// <summary>
/// Folders and files of a node on Windows: made for their owner only, and looked at before they are used (<see cref="FileAccessFacts"/>).
/// </summary>
[SupportedOSPlatform("windows")]
internal static partial class WindowsAccess
{
    /// <summary>The user that this process acts as.</summary>
    private static SecurityIdentifier CurrentUser
    {
        get
        {
            using var identity = WindowsIdentity.GetCurrent();
            return identity.User ?? new SecurityIdentifier(WellKnownSidType.LocalSystemSid, null);
        }
    }

    /// <summary>
    /// Throws unless the folder, and whatever leads to it, is this user's own or an administrator's. A link on the way is not followed.
    /// </summary>
    /// <param name="path">The folder, which exists, as a full path.</param>
    /// <param name="what">"state folder", for the error.</param>
    /// <param name="mayBeOpen">True for a folder that is about to be closed to others.</param>
    /// <param name="owner">Who may own and change it beside administrators, "S-1-5-18"; null for this process's user.</param>
    /// <exception cref="LightTunnelException">FileAccess, with who could write where.</exception>
    public static void Check(string path, string what, bool mayBeOpen = false, string? owner = null)
    {
        string user = owner ?? CurrentUser.Value;
        var last = new DirectoryInfo(Path.TrimEndingDirectorySeparator(path));
        var way = new Stack<DirectoryInfo>();
        for (DirectoryInfo? folder = last; folder is not null; folder = folder.Parent)
            way.Push(folder);
        foreach (DirectoryInfo folder in way)
        {
            if (folder.LinkTarget is { } target)
                throw TrustedFolder.Distrusted(what, path, $"{folder.FullName} is a link to {target}", "Give the path that it leads to.");
            AccessPlace place = folder == last && !mayBeOpen
                ? AccessPlace.Folder
                : folder.Parent is null ? AccessPlace.Root : AccessPlace.OnTheWay;
            FileAccessFacts facts = FactsOf(
                Ask(folder.FullName, () => folder.GetAccessControl(AccessControlSections.Owner | AccessControlSections.Access)));
            if (facts.FaultOf(place, user) is { } fault)
            {
                string trusted = owner is null ? "this user or Administrators" : "Administrators (not to this user, but to all of them)";
                throw TrustedFolder.Distrusted(
                    what, path, $"{folder.FullName} {fault}",
                    $"Choose a folder that belongs to {trusted} and that nobody else may write, or take it from them (icacls) after a look "
                        + "at what lies there.");
            }
        }
    }

    /// <summary>Makes a folder for SYSTEM, Administrators and its owner only; the ones that lead to it as their parents say.</summary>
    public static void CreateFolder(string path)
    {
        var folder = new DirectoryInfo(path);
        if (folder.Parent is { Exists: false } parent)
            parent.Create();
        folder.Create(FolderSecurity());
    }

    /// <summary>Closes a folder to everybody else, whatever its access list said.</summary>
    public static void CloseFolder(string path)
    {
        DirectorySecurity security = FolderSecurity();
        Ask(path, () =>
        {
            new DirectoryInfo(path).SetAccessControl(security);
            return security;
        });
    }

    /// <summary>Gives a file the access list that its folder gives to what is made in it, and no other.</summary>
    public static void Inherit(string path)
    {
        var security = new FileSecurity();
        security.SetAccessRuleProtection(isProtected: false, preserveInheritance: false);
        Ask(path, () =>
        {
            new FileInfo(path).SetAccessControl(security);
            return security;
        });
    }

    /// <summary>Opens a file to read and write, for SYSTEM, Administrators and its owner only from the moment it exists.</summary>
    /// <exception cref="IOException">It cannot be opened, or is not this user's own file.</exception>
    public static FileStream Open(string path, FileMode mode, FileShare share)
    {
        ThrowIfLink(path);
        var security = new FileSecurity();
        Close(security, InheritanceFlags.None);
        return Checked(
            path, new FileInfo(path).Create(mode, FileSystemRights.Read | FileSystemRights.Write, share, 4096, FileOptions.None, security));
    }

    /// <summary>Opens a file to read.</summary>
    /// <exception cref="IOException">It cannot be opened, or is not this user's own file.</exception>
    public static FileStream OpenToRead(string path)
    {
        ThrowIfLink(path);
        return Checked(path, new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
    }

    /// <summary>
    /// Throws when an open file is not this user's own or an administrator's, may be written by others, or has a second name.
    /// </summary>
    /// <exception cref="IOException">It is not.</exception>
    public static void CheckFile(string path, FileStream stream)
    {
        string? fault = FactsOf(Ask(path, stream.GetAccessControl)).FaultOf(AccessPlace.File, CurrentUser.Value);
        if (fault is null && GetFileInformationByHandle(stream.SafeFileHandle, out FileInformation information) && information.Links > 1)
            fault = "has a second name elsewhere (a hard link)";
        if (fault is not null)
            throw new IOException($"{path} {fault}. Remove it, and see who made it.");
    }

    /// <summary>What Windows says of a file, by its name.</summary>
    /// <exception cref="IOException">It does not say.</exception>
    public static (FileAccessFacts Facts, string User) Look(string path) =>
        (FactsOf(Ask(path, () => new FileInfo(path).GetAccessControl(AccessControlSections.Owner | AccessControlSections.Access))),
            CurrentUser.Value);

    /// <summary>The facts of a security descriptor.</summary>
    internal static FileAccessFacts FactsOf(FileSystemSecurity security)
    {
        var descriptor = new RawSecurityDescriptor(security.GetSecurityDescriptorBinaryForm(), 0);
        return new FileAccessFacts(
            descriptor.Owner?.Value,
            descriptor.DiscretionaryAcl is { } list ? [.. list.OfType<QualifiedAce>().Where(Allows).Select(ToGrant)] : null);

        static bool Allows(QualifiedAce entry) => entry.AceQualifier == AceQualifier.AccessAllowed;

        static AccessGrant ToGrant(QualifiedAce entry) =>
            new(entry.SecurityIdentifier.Value, (uint)entry.AccessMask, entry.AceFlags.HasFlag(AceFlags.InheritOnly));
    }

    /// <summary>
    /// File systems and servers that know no access lists answer with errors for which .NET has no better exception than this.
    /// </summary>
    private static FileSystemSecurity Ask(string path, Func<FileSystemSecurity> ask)
    {
        try
        {
            return ask();
        }
        catch (Exception exception) when (exception is InvalidOperationException or NotSupportedException)
        {
            throw new IOException($"The access list of {path} cannot be used: {exception.Message}", exception);
        }
    }

    private static FileStream Checked(string path, FileStream stream)
    {
        try
        {
            CheckFile(path, stream);
            return stream;
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>
    /// By the name, before it is opened, as .NET follows links: in a folder that was checked, nobody else makes one meanwhile.
    /// </summary>
    private static void ThrowIfLink(string path)
    {
        if (new FileInfo(path).LinkTarget is not null)
            throw new IOException($"{path} is a link, which is not followed. Remove it, and see who made it.");
    }

    private static DirectorySecurity FolderSecurity()
    {
        var security = new DirectorySecurity();
        Close(security, InheritanceFlags.ContainerInherit | InheritanceFlags.ObjectInherit);
        return security;
    }

    /// <summary>
    /// What an administrator makes belongs to all of them, so that a tunnel that one of them tried can be run by SYSTEM or by another one
    /// later; what anybody else makes is that user's.
    /// </summary>
    private static void Close(FileSystemSecurity security, InheritanceFlags inheritance)
    {
        using var identity = WindowsIdentity.GetCurrent();
        var administrators = new SecurityIdentifier(WellKnownSidType.BuiltinAdministratorsSid, null);
        List<SecurityIdentifier> owners = [new SecurityIdentifier(WellKnownSidType.LocalSystemSid, null), administrators];
        if (new WindowsPrincipal(identity).IsInRole(administrators))
            security.SetOwner(administrators);
        else if (identity.User is { } user)
            owners.Add(user);
        security.SetAccessRuleProtection(isProtected: true, preserveInheritance: false);
        foreach (SecurityIdentifier owner in owners)
        {
            security.AddAccessRule(
                new FileSystemAccessRule(owner, FileSystemRights.FullControl, inheritance, PropagationFlags.None, AccessControlType.Allow));
        }
    }

    [LibraryImport("kernel32.dll")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool GetFileInformationByHandle(SafeFileHandle file, out FileInformation information);

    /// <summary>What is used of BY_HANDLE_FILE_INFORMATION.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 52)]
    private readonly struct FileInformation
    {
        [FieldOffset(40)]
        private readonly uint _links;

        /// <summary>How many names it has.</summary>
        public uint Links => _links;
    }
}
