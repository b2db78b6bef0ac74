using LightTunnel.Help;

if (args is not [string modulePath, string referenceFolder, string outputPath])
{
    Console.Error.WriteLine("usage: LightTunnel.Help <module assembly> <folder of its references> <output file>");
    return 2;
}

using var module = new CommandReader(modulePath, referenceFolder);
string[] problems =
    [.. MamlWriter.Write(module.Commands(), new DocumentationComments(Path.ChangeExtension(modulePath, ".xml")), outputPath)];
foreach (string problem in problems)
    Console.Error.WriteLine($"{modulePath} : error LTHELP: {problem}");
return problems.Length == 0 ? 0 : 1;
